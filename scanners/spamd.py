"""SpamScanner over spamd of SpamAssassin, by unix socket or TCP.

One SYMBOLS request per mail returns score and tests. A request costs spamd tens of milliseconds of
CPU, so there is no second request per mail. The version of SpamAssassin is requested by one small
HEADERS request, again after an outage and every VERSION_FRESH_S seconds.
aiospamc implements the protocol, but not the connection: its helper functions load the certificates
of the system at each call, and leave a connection open when a request fails.
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
SCANNED_MAX_BYTES = 512 * 1024  # only the beginning of a larger mail is scanned
VERSION_FRESH_S = 600.0
_PROBE = b"Subject: version\r\n\r\nWhich version is this?\r\n"
_VERSION = re.compile(rb"^X-Spam-Checker-Version: (.+?)(?: on [^\r\n]*)?\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamdScannerConfig:
    """Address and limits of spamd."""

    address: ScannerAddress
    timeout_s: float = 120.0  # of one check, without the wait for its turn
    in_flight: int = 2  # --max-children of spamd: more checks would wait inside spamd


class SpamdScanner:
    """SpamScanner with one connection per check."""

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
        self._version_lock = asyncio.Lock()

    async def check(self, content: bytes) -> SpamReport:
        rules = await self._rules_version()
        scanned = content[:SCANNED_MAX_BYTES]
        try:
            response = await self._request("SYMBOLS", scanned)
        except ScannerUnavailable:
            self._rules_until_s = 0.0  # spamd may return with another version
            raise
        return SpamReport(
            score=_spam_score(response),
            tests=_tests(response.body),
            rules=rules,
            scanned_bytes=len(scanned),
        )

    async def _rules_version(self) -> str:
        async with self._version_lock:
            if time.monotonic() >= self._rules_until_s:
                self._rules = _version(await self._request("HEADERS", _PROBE))
                self._rules_until_s = time.monotonic() + VERSION_FRESH_S
            return self._rules

    async def _request(self, verb: str, body: bytes) -> Any:
        """Return a Response of aiospamc.

        Raises ScannerUnavailable: no response, or a malformed response.
        """
        try:
            return await self._client.request(Request(verb, body=body))
        except (ClientException, ResponseException, ValueError) as error:
            detail = f"{verb}: {type(error).__name__} {error!s:.200}".rstrip()
            raise ScannerUnavailable(NAME, detail) from error


class _Connection:
    """The connection interface of the aiospamc Client, over ScannerSocket."""

    def __init__(self, socket: ScannerSocket) -> None:
        self._socket = socket

    async def request(self, data: bytes) -> bytes:
        return await self._socket.request(data, half_close=True)


def _spam_score(response: Any) -> float:
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
        raise ScannerUnavailable(NAME, "answered without a version (X-Spam-Checker-Version)")
    return match[1].decode("ascii", "replace")
