"""Responses of scanners, valid and malformed, from a server with scripted replies."""

import asyncio
import struct

import pytest

from mail.errors import ScannerSick, ScannerUnavailable, Unscannable
from scanners.clamd import ClamdScanner, ClamdScannerConfig
from scanners.socket_client import REPLY_MAX_BYTES
from scanners.spamd import SpamdScanner, SpamdScannerConfig
from tests.contracts.scanner_mails import CLEAN

VERSION = b"1: ClamAV 9.9/1/now\0"
RULES = b"X-Spam-Checker-Version: SpamAssassin 9.9 (2026-01-01) on host\r\n\r\n"


class ScriptedServer:
    """Sends one of `replies` per connection, repeating the last reply, and closes.

    Reads the request first, unless `closes_early`.
    """

    def __init__(
        self, path, *replies: bytes, closes_early: bool = False, delay_s: float = 0.0
    ) -> None:
        self.path = path
        self.requests: list[bytes] = []
        self.concurrent = 0
        self.concurrent_max = 0
        self._replies = list(replies)
        self._closes_early = closes_early
        self._delay_s = delay_s

    async def __aenter__(self):
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer) -> None:
        self.concurrent += 1
        self.concurrent_max = max(self.concurrent, self.concurrent_max)
        self.requests.append(await reader.read(10 if self._closes_early else 2**20))
        await asyncio.sleep(self._delay_s)
        self.concurrent -= 1
        writer.write(self._replies.pop(0) if len(self._replies) > 1 else self._replies[0])
        writer.close()


@pytest.mark.parametrize(
    ("reply", "virus"),
    [
        (VERSION + b"2: stream: OK\0", ""),
        (b"2: stream: OK\0" + VERSION, ""),
        (VERSION + b"2: stream: Win.Test-1 FOUND\0", "Win.Test-1"),
        (VERSION + b"2: stream: Heuristics.Phishing.Email FOUND\0", "Heuristics.Phishing.Email"),
    ],
)
async def test_clamd_verdicts(tmp_path, reply, virus):
    async with ScriptedServer(tmp_path / "s", reply) as server:
        report = await ClamdScanner(ClamdScannerConfig(address=server.path)).scan(CLEAN)
    assert (report.virus, report.signatures) == (virus, "ClamAV 9.9/1/now")
    assert struct.pack(">I", len(CLEAN)) + CLEAN + struct.pack(">I", 0) in server.requests[0]


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (VERSION + b"2: stream: Heuristics.Limits.Exceeded.MaxFiles FOUND\0", Unscannable),
        (VERSION + b"2: INSTREAM size limit exceeded. ERROR\0", Unscannable),
        (VERSION + b"2: stream: Exceeded time limit ERROR\0", Unscannable),
        (VERSION + b"2: stream: Bad format or broken data ERROR\0", Unscannable),
        (VERSION + b"2: stream: Can't allocate memory ERROR\0", ScannerUnavailable),
        (VERSION + b"2: stream: Can't create temporary file ERROR\0", ScannerSick),
        (VERSION + b"2: Error writing to temporary file ERROR\0", ScannerSick),
        (VERSION + b"2: stream: new words\0", ScannerUnavailable),
        (VERSION + b"2: stream: OK", ScannerUnavailable),
        (VERSION, ScannerUnavailable),
        (b"2: stream: OK\0", ScannerUnavailable),
        (b"COMMAND READ TIMED OUT. ERROR\0", ScannerUnavailable),
        (b"\xff\x00\xfe", ScannerUnavailable),
        (b"", ScannerUnavailable),
        (b"x" * (REPLY_MAX_BYTES + 1), ScannerUnavailable),
    ],
)
async def test_clamd_responses_without_a_verdict(tmp_path, reply, raised):
    async with ScriptedServer(tmp_path / "s", reply) as server:
        with pytest.raises(raised):
            await ClamdScanner(ClamdScannerConfig(address=server.path)).scan(CLEAN)


async def test_a_response_is_received_although_the_scanner_did_not_read_the_mail(tmp_path):
    reply = VERSION + b"2: INSTREAM size limit exceeded. ERROR\0"
    async with ScriptedServer(tmp_path / "s", reply, closes_early=True) as server:
        scanner = ClamdScanner(ClamdScannerConfig(address=server.path))
        with pytest.raises(Unscannable):
            await scanner.scan(b"x" * 10_000_000)


async def test_concurrent_scans_are_limited(tmp_path):
    reply = VERSION + b"2: stream: OK\0"
    async with ScriptedServer(tmp_path / "s", reply, delay_s=0.01) as server:
        scanner = ClamdScanner(ClamdScannerConfig(address=server.path, in_flight=3))
        await asyncio.gather(*(scanner.scan(CLEAN) for _ in range(12)))
    assert server.concurrent_max == 3
    assert len(server.requests) == 12


async def test_a_scanner_is_reached_over_tcp():
    async def serve(reader, writer) -> None:
        await reader.read(2**20)
        writer.write(VERSION + b"2: stream: OK\0")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()[:2]
    scanner = ClamdScanner(ClamdScannerConfig(address=address))
    assert (await scanner.scan(CLEAN)).virus == ""
    server.close()
    await server.wait_closed()
    with pytest.raises(ScannerUnavailable):
        await scanner.scan(CLEAN)


def spamd_response(body: bytes, *, spam: bytes = b"Spam: True ; 7.5 / 5.0\r\n") -> bytes:
    head = b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\n" % len(body)
    return head + spam + b"\r\n" + body


@pytest.mark.parametrize(
    "reply",
    [
        b"SPAMD/1.1 75 EX_TEMPFAIL\r\n\r\n",
        b"SPAMD/1.0 76 Bad header line: x\r\n",
        spamd_response(b"A,B")[:-1],
        spamd_response(b"A,B", spam=b""),
        spamd_response(b"A,B", spam=b"Spam: maybe\r\n"),
        b"SPAMD/1.1 0 EX_OK\r\n",
        b"\xff\x00",
        b"",
    ],
)
async def test_spamd_responses_without_a_score(tmp_path, reply):
    async with ScriptedServer(tmp_path / "s", spamd_response(RULES), reply) as server:
        with pytest.raises(ScannerUnavailable):
            await SpamdScanner(SpamdScannerConfig(address=server.path)).check(CLEAN)


async def test_the_rules_version_is_requested_once_and_again_after_an_outage(tmp_path):
    newer = RULES.replace(b"9.9", b"10.0")
    replies = (
        *(spamd_response(RULES), spamd_response(b"A,B"), spamd_response(b""), b""),
        *(spamd_response(newer), spamd_response(b"C")),
    )
    async with ScriptedServer(tmp_path / "s", *replies) as server:
        scanner = SpamdScanner(SpamdScannerConfig(address=server.path))
        first, second = await scanner.check(CLEAN), await scanner.check(CLEAN)
        with pytest.raises(ScannerUnavailable):
            await scanner.check(CLEAN)
        third = await scanner.check(CLEAN)
    assert (first.score, first.tests, first.rules) == (
        7.5,
        ("A", "B"),
        "SpamAssassin 9.9 (2026-01-01)",
    )
    assert (second.tests, second.rules) == ((), first.rules)
    assert (third.tests, third.rules) == (("C",), "SpamAssassin 10.0 (2026-01-01)")
    verbs = [request.split(b" ")[0] for request in server.requests]
    assert verbs == [b"HEADERS", b"SYMBOLS", b"SYMBOLS", b"SYMBOLS", b"HEADERS", b"SYMBOLS"]
