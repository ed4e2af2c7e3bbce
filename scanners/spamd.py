"""SpamScanner over SpamAssassin's spamd, by unix socket or TCP.

One SYMBOLS request per mail gives score and tests; spamd needs tens of milliseconds of CPU for
each, so nothing is asked twice. Which SpamAssassin judged is learnt by one small HEADERS request,
again after an outage and every VERSION_FRESH_S.
The protocol is aiospamc's; the connection is ours, since aiospamc's helper functions load the
system's certificates at each call and leave a connection open when a request fails.
"""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any

from aiospamc.client import Client
from aiospamc.exceptions import ClientException
from aiospamc.requests import Request
from aiospamc.responses import ResponseException

from mail.errors import ScannerUnavailable
from mail.ports import SpamReport
from scanners.socket_client import ScannerAddress, ScannerSocket

NAME = "spamd"
SCANNED_MAX_BYTES = 512 * 1024  # a mail's beginning, when it is longer
VERSION_FRESH_S = 600.0
_PROBE = b"Subject: version\r\n\r\nWhich version is this?\r\n"
_VERSION = re.compile(rb"^X-Spam-Checker-Version: (.+?)(?: on [^\r\n]*)?\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamdScannerConfig:
    """How spamd is reached and used."""

    address: ScannerAddress
    timeout_s: float = 120.0  # of one check, from its turn on
    in_flight: int = 2  # spamd's --max-children: more would wait inside spamd


class SpamdScanner:
    """SpamScanner. One connection per check."""

    def __init__(self, config: SpamdScannerConfig) -> None:
        self._client = Client(
            _Connection(
                ScannerSocket(
                    NAME, config.address, timeout_s=config.timeout_s, in_flight=config.in_flight
                )
            )
        )
        self._rules = ""
        self._rules_until_s = 0.0  # monotonic
        self._asking = asyncio.Lock()

    async def check(self, content: bytes) -> SpamReport:
        rules = await self._rules_version()
        scanned = content[:SCANNED_MAX_BYTES]
        try:
            response = await self._ask("SYMBOLS", scanned)
        except ScannerUnavailable:
            self._rules_until_s = 0.0  # another version may come back
            raise
        return SpamReport(
            score=_score(response),
            tests=_tests(response.body),
            rules=rules,
            scanned_bytes=len(scanned),
        )

    async def _rules_version(self) -> str:
        async with self._asking:
            if time.monotonic() >= self._rules_until_s:
                self._rules = _version(await self._ask("HEADERS", _PROBE))
                self._rules_until_s = time.monotonic() + VERSION_FRESH_S
            return self._rules

    async def _ask(self, verb: str, body: bytes) -> Any:
        """A Response of aiospamc. ScannerUnavailable: no answer, or one that makes no sense."""
        try:
            return await self._client.request(Request(verb, body=body))
        except (ClientException, ResponseException, ValueError) as error:
            detail = f"{verb}: {type(error).__name__} {error!s:.200}".rstrip()
            raise ScannerUnavailable(NAME, detail) from error


class _Connection:
    """What aiospamc's Client needs of a connection: bytes out, bytes in."""

    def __init__(self, socket: ScannerSocket) -> None:
        self._socket = socket

    async def request(self, data: bytes) -> bytes:
        return await self._socket.ask(data, half_close=True)


def _score(response: Any) -> float:
    spam = response.headers.get("Spam")
    if spam is None:
        raise ScannerUnavailable(NAME, "answered without a score")
    return float(spam.score)


def _tests(body: bytes) -> tuple[str, ...]:
    names = body.decode("ascii", "replace").strip().split(",")
    return tuple(name for name in names if name)


def _version(response: Any) -> str:
    match = _VERSION.search(response.body)
    if match is None:
        raise ScannerUnavailable(NAME, "does not tell its version (X-Spam-Checker-Version)")
    return match[1].decode("ascii", "replace")
