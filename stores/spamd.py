"""SpamScanner over SpamAssassin's spamd, by unix socket or TCP.

One SYMBOLS request per mail gives score and tests; spamd needs tens of milliseconds of CPU for
each, so nothing is asked twice. Which SpamAssassin judged is learnt by one small HEADERS request,
again after an outage and every VERSION_FRESH_S.
The protocol is a request and an answer with a header of lines each (spamd/PROTOCOL in
SpamAssassin's source); whatever does not fit it is no score.
"""

import asyncio
import re
import time
from dataclasses import dataclass

from mail.errors import ScannerUnavailable
from mail.ports import SpamReport
from stores.scanner_sockets import Address, ScannerSocket

NAME = "spamd"
SCANNED_MAX_BYTES = 512 * 1024  # a mail's beginning, when it is longer
VERSION_FRESH_S = 600.0
_PROBE = b"Subject: version\r\n\r\nWhich version is this?\r\n"
_ANSWER = re.compile(rb"SPAMD/[0-9.]+ 0 [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n(.*)", re.DOTALL)
_LENGTH = re.compile(rb"^Content-length:[ \t]*([0-9]{1,9})\r$", re.IGNORECASE | re.MULTILINE)
_SCORE = re.compile(
    rb"^Spam:[ \t]*\w+[ \t]*;[ \t]*(-?[0-9.]{1,20})[ \t]*/", re.IGNORECASE | re.MULTILINE
)
_VERSION = re.compile(rb"^X-Spam-Checker-Version: (.+?)(?: on [^\r\n]*)?\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamdScannerConfig:
    """How spamd is reached and used."""

    address: Address
    timeout_s: float = 120.0  # of one check, from its turn on
    in_flight: int = 2  # spamd's --max-children: more would wait inside spamd


class SpamdScanner:
    """SpamScanner. One connection per check."""

    def __init__(self, config: SpamdScannerConfig) -> None:
        self._socket = ScannerSocket(
            NAME, config.address, timeout_s=config.timeout_s, in_flight=config.in_flight
        )
        self._rules = ""
        self._rules_until_s = 0.0  # monotonic
        self._asking = asyncio.Lock()

    async def check(self, content: bytes) -> SpamReport:
        rules = await self._rules_version()
        scanned = content[:SCANNED_MAX_BYTES]
        try:
            header, tests = await self._ask(b"SYMBOLS", scanned)
        except ScannerUnavailable:
            self._rules_until_s = 0.0  # another version may come back
            raise
        return SpamReport(
            score=_score(header),
            tests=_tests(tests),
            rules=rules,
            scanned_bytes=len(scanned),
        )

    async def _rules_version(self) -> str:
        async with self._asking:
            if time.monotonic() >= self._rules_until_s:
                _, head = await self._ask(b"HEADERS", _PROBE)
                self._rules = _version(head)
                self._rules_until_s = time.monotonic() + VERSION_FRESH_S
            return self._rules

    async def _ask(self, verb: bytes, body: bytes) -> tuple[bytes, bytes]:
        """Header lines and body. ScannerUnavailable: no answer, or one that makes no sense."""
        head = b"%b SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % (verb, len(body))
        reply = await self._socket.ask(head, body, half_close=True)
        found = _ANSWER.fullmatch(reply)
        length = _LENGTH.search(found[1]) if found else None
        if found is None or length is None or int(length[1]) != len(found[2]):
            raise ScannerUnavailable(NAME, f"answered {reply[:200]!r}")
        return found[1], found[2]


def _score(header: bytes) -> float:
    found = _SCORE.search(header)
    try:
        return float(found[1] if found else b"")
    except ValueError as error:
        raise ScannerUnavailable(NAME, "answered without a score") from error


def _tests(body: bytes) -> tuple[str, ...]:
    names = body.decode("ascii", "replace").strip().split(",")
    return tuple(name for name in names if name)


def _version(head: bytes) -> str:
    match = _VERSION.search(head)
    if match is None:
        raise ScannerUnavailable(NAME, "does not tell its version (X-Spam-Checker-Version)")
    return match[1].decode("ascii", "replace")
