"""VirusScanner over clamd's own protocol (clamd(8)), by unix socket or TCP.

Each scan is one session: VERSION, then INSTREAM for each content. So the report names the
signatures that were loaded when this mail was scanned, at no measurable cost.
A limit of clamd that a mail exceeds is no verdict "infected": nobody looked at the rest. It comes
as FOUND with a name of its own (AlertExceedsMax) or as an error, and is Unscannable.
A mail that ends clamd looks like any other outage here; who scans it again decides by attempts.
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
_ENCRYPTED = "Heuristics.Encrypted."  # told when nothing worse was found
# Errors that this content causes, on a healthy engine; every other one is the engine's own.
_CONTENT_ERRORS = (
    "INSTREAM size limit exceeded",
    "Exceeded time limit",
    "Exceeded max",
    "Bad format or broken data",
    "Can't unpack some data",
    "Can't parse data",
)
_NO_ROOM = "temporary file"  # cannot be created or written: a full disk


@dataclass(frozen=True, slots=True, kw_only=True)
class ClamdScannerConfig:
    """How clamd is reached and used."""

    address: ScannerAddress
    timeout_s: float = 120.0  # of one scan, from its turn on; clamd itself stops at 120 s
    forms_timeout_s: float = 60.0  # of all forms of one mail
    in_flight: int = 4  # clamd's MaxThreads: more would wait inside clamd


class ClamdScanner:
    """VirusScanner. One connection per scan; nothing is kept between scans."""

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
            detail = f"{NAME}: its parts take more than {self._forms_timeout_s:g} s"
            raise Unscannable(detail) from error

    async def _session(
        self, contents: Sequence[bytes], *, timeout_s: float | None = None
    ) -> VirusReport:
        streams = chain.from_iterable(map(_stream, contents))
        reply = await self._socket.ask(_SESSION, *streams, _END, timeout_s=timeout_s)
        version, *verdicts = _answers(reply, 1 + len(contents))
        return _report(version, verdicts)

    async def signatures(self) -> str:
        reply = await self._socket.ask(b"zVERSION\0")
        version = _text(reply).rstrip("\0")
        if version.endswith("ERROR"):
            raise ScannerUnavailable(NAME, version)
        return version


def _stream(content: bytes) -> tuple[bytes, ...]:
    chunk = (len(content).to_bytes(4, "big"), content) if content else ()
    return (_STREAM, *chunk, _STREAM_END)


def _answers(reply: bytes, commands: int) -> list[str]:
    """What the session's commands answered, in their order. ScannerUnavailable: not all did."""
    *lines, _ = _text(reply).split("\0")  # what no NUL ends was cut off
    found = {match[1]: match[2] for line in lines if (match := _REPLY.fullmatch(line))}
    numbers = [str(number) for number in range(1, commands + 1)]
    if not all(number in found for number in numbers):
        for text in found.values():
            _name(text)  # the error that ended the session
        raise ScannerUnavailable(NAME, f"answered {_text(reply[:200])!r}")
    return [found[number].removeprefix("stream: ") for number in numbers]


def _report(version: str, verdicts: Sequence[str]) -> VirusReport:
    """A virus in any content counts before an error in another one. As `_name`."""
    names: list[str] = []
    errors: list[PostriverError] = []
    for verdict in verdicts:
        try:
            names.append(_name(verdict))
        except PostriverError as error:
            errors.append(error)
    virus = next((name for name in names if name and not name.startswith(_ENCRYPTED)), "")
    if errors and not virus:
        raise errors[0]
    encrypted = any(name.startswith(_ENCRYPTED) for name in names)
    return VirusReport(virus=virus, signatures=version, encrypted=encrypted)


def _name(verdict: str) -> str:
    """The name that was found, "" for OK. Unscannable, ScannerSick, ScannerUnavailable."""
    if verdict == "OK":
        return ""
    if verdict.endswith(" FOUND"):
        name = verdict.removesuffix(" FOUND")
        if name.startswith(_LIMIT):
            raise Unscannable(f"{NAME}: {name}")
        return name
    if any(cause in verdict for cause in _CONTENT_ERRORS):
        raise Unscannable(f"{NAME}: {verdict}")
    if _NO_ROOM in verdict:
        raise ScannerSick(NAME, verdict)
    raise ScannerUnavailable(NAME, verdict)


def _text(reply: bytes) -> str:
    return reply.decode("utf-8", "replace")
