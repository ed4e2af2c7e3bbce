"""VirusScanner over the protocol of clamd (clamd(8)), by unix socket or TCP.

Each scan is one session: VERSION, then INSTREAM for each content. The report therefore names the
signatures that were loaded during the scan, at no measurable cost.
A mail that exceeds a limit of clamd is Unscannable, not infected: clamd has not scanned the rest of
it. clamd reports this as FOUND with a special name (AlertExceedsMax) or as an error.
A mail that crashes clamd is not distinguished from an outage here; the callers count attempts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from mail.errors import PostriverError, ScannerSick, ScannerUnavailable, Unscannable
from mail.ports import VirusReport
from scanners.socket_client import ScannerAddress, ScannerSocket

NAME = "clamd"
_SESSION = b"zIDSESSION\0zVERSION\0"
_STREAM = b"zINSTREAM\0"
_STREAM_END = b"\0\0\0\0"  # an empty chunk
_END = b"zEND\0"
_REPLY = re.compile(r"(\d+): (.*)", re.DOTALL)
_LIMIT = "Heuristics.Limits.Exceeded"
_ENCRYPTED = "Heuristics.Encrypted."  # reported if clamd finds no virus
# Errors caused by the content, with a healthy engine. Every other error is a fault of the engine.
_CONTENT_ERRORS = (
    "INSTREAM size limit exceeded",
    "Exceeded time limit",
    "Exceeded max",
    "Bad format or broken data",
    "Can't unpack some data",
    "Can't parse data",
)
_DISK_FULL = "temporary file"  # clamd cannot create or write one


@dataclass(frozen=True, slots=True, kw_only=True)
class ClamdScannerConfig:
    """Address and limits of clamd."""

    address: ScannerAddress
    timeout_s: float = 120.0  # of one scan, without the wait for its turn; clamd stops at 120 s
    forms_timeout_s: float = 60.0  # of all forms of one mail
    in_flight: int = 4  # MaxThreads of clamd: more scans would wait inside clamd


class ClamdScanner:
    """VirusScanner with one connection per scan and no state between scans."""

    def __init__(self, config: ClamdScannerConfig) -> None:
        self._socket = ScannerSocket(
            NAME, config.address, timeout_s=config.timeout_s, in_flight=config.in_flight
        )
        self._forms_timeout_s = config.forms_timeout_s

    async def scan(self, content: bytes) -> VirusReport:
        return await self._session([content])

    async def scan_forms(self, forms: Sequence[bytes]) -> VirusReport:
        try:
            return await self._session(forms, timeout_s=self._forms_timeout_s)
        except ScannerUnavailable as error:
            if not isinstance(error.__cause__, TimeoutError):
                raise
            await self.signatures()
            detail = f"{NAME}: the forms of the mail take more than {self._forms_timeout_s:g} s"
            raise Unscannable(detail) from error

    async def _session(
        self, contents: Sequence[bytes], *, timeout_s: float | None = None
    ) -> VirusReport:
        streams = chain.from_iterable(map(_stream, contents))
        reply = await self._socket.request(_SESSION, *streams, _END, timeout_s=timeout_s)
        version, *verdicts = _parse_replies(reply, 1 + len(contents))
        return _report(version, verdicts)

    async def signatures(self) -> str:
        reply = await self._socket.request(b"zVERSION\0")
        version = _decode(reply).rstrip("\0")
        if version.endswith("ERROR"):
            raise ScannerUnavailable(NAME, version)
        return version


def _stream(content: bytes) -> tuple[bytes, ...]:
    chunk = (len(content).to_bytes(4, "big"), content) if content else ()
    return (_STREAM, *chunk, _STREAM_END)


def _parse_replies(reply: bytes, commands: int) -> list[str]:
    """Return the replies to the commands of a session, in order.

    Raises ScannerUnavailable: a reply is missing; or the error that ended the session.
    """
    *lines, _ = _decode(reply).split("\0")  # a line without NUL at its end is incomplete
    replies = {match[1]: match[2] for line in lines if (match := _REPLY.fullmatch(line))}
    numbers = [str(number) for number in range(1, commands + 1)]
    if not all(number in replies for number in numbers):
        for text in replies.values():
            _virus_name(text)  # raises the error that ended the session
        raise ScannerUnavailable(NAME, f"answered {_decode(reply[:200])!r}")
    return [replies[number].removeprefix("stream: ") for number in numbers]


def _report(version: str, verdicts: Sequence[str]) -> VirusReport:
    """Return the report of a session: a virus in any content overrides errors in other contents.

    Raises the first error of `_virus_name`, if there is no virus.
    """
    names: list[str] = []
    errors: list[PostriverError] = []
    for verdict in verdicts:
        try:
            names.append(_virus_name(verdict))
        except PostriverError as error:
            errors.append(error)
    virus = next((name for name in names if name and not name.startswith(_ENCRYPTED)), "")
    if errors and not virus:
        raise errors[0]
    encrypted = any(name.startswith(_ENCRYPTED) for name in names)
    return VirusReport(virus=virus, signatures=version, encrypted=encrypted)


def _virus_name(verdict: str) -> str:
    """Return the name of the virus; "" for OK.

    Raises Unscannable: an error of this content. ScannerSick: clamd has no disk space.
    ScannerUnavailable: any other error.
    """
    if verdict == "OK":
        return ""
    if verdict.endswith(" FOUND"):
        name = verdict.removesuffix(" FOUND")
        if name.startswith(_LIMIT):
            raise Unscannable(f"{NAME}: {name}")
        return name
    if any(cause in verdict for cause in _CONTENT_ERRORS):
        raise Unscannable(f"{NAME}: {verdict}")
    if _DISK_FULL in verdict:
        raise ScannerSick(NAME, verdict)
    raise ScannerUnavailable(NAME, verdict)


def _decode(reply: bytes) -> str:
    return reply.decode("utf-8", "replace")
