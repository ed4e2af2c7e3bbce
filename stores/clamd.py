"""VirusScanner over clamd's own protocol (clamd(8)), by unix socket or TCP.

Each scan is one session of two commands, VERSION and INSTREAM: the report names the signatures that
were loaded when this mail was scanned, at no measurable cost.
A limit of clamd that a mail exceeds is no verdict "infected": nobody looked at the rest. It comes
as FOUND with a name of its own (AlertExceedsMax) or as an error, and is Unscannable.
A mail that ends clamd looks like any other outage here; who scans it again decides by attempts.
"""

import re
from dataclasses import dataclass

from mail.errors import ScannerSick, ScannerUnavailable, Unscannable
from mail.ports import VirusReport
from stores.scanner_sockets import Address, ScannerSocket

NAME = "clamd"
_SESSION = b"zIDSESSION\0zVERSION\0zINSTREAM\0"
_END = b"\0\0\0\0zEND\0"  # an empty chunk ends the stream, END the session
_REPLY = re.compile(r"(\d+): (.*)", re.DOTALL)
_LIMIT = "Heuristics.Limits.Exceeded"
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

    address: Address
    timeout_s: float = 120.0  # of one scan, from its turn on; clamd itself stops at 120 s
    in_flight: int = 4  # clamd's MaxThreads: more would wait inside clamd


class ClamdScanner:
    """VirusScanner. One connection per scan; nothing is kept between scans."""

    def __init__(self, config: ClamdScannerConfig) -> None:
        self._socket = ScannerSocket(
            NAME, config.address, timeout_s=config.timeout_s, in_flight=config.in_flight
        )

    async def scan(self, content: bytes) -> VirusReport:
        chunk = (len(content).to_bytes(4, "big"), content) if content else ()
        reply = await self._socket.ask(_SESSION, *chunk, _END)
        version, verdict = _answers(reply)
        return VirusReport(virus=_virus(verdict), signatures=version)

    async def signatures(self) -> str:
        reply = await self._socket.ask(b"zVERSION\0")
        version = _text(reply).rstrip("\0")
        if version.endswith("ERROR"):
            raise ScannerUnavailable(NAME, version)
        return version


def _answers(reply: bytes) -> tuple[str, str]:
    """What the session's two commands answered, in whatever order. ScannerUnavailable: not both."""
    *lines, _ = _text(reply).split("\0")  # what no NUL ends was cut off
    found = {match[1]: match[2] for line in lines if (match := _REPLY.fullmatch(line))}
    if "2" not in found or "1" not in found:
        raise ScannerUnavailable(NAME, f"answered {_text(reply[:200])!r}")
    return found["1"], found["2"].removeprefix("stream: ")


def _virus(verdict: str) -> str:
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
