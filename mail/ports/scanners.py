"""What the scanners say of a mail."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class VirusReport(msgspec.Struct, frozen=True, kw_only=True):
    """`virus` is "" for a clean mail; `signatures` names the engine's version and database."""

    virus: str
    signatures: str
    encrypted: bool = False  # something in it is encrypted, and was not looked into


class SpamReport(msgspec.Struct, frozen=True, kw_only=True):
    score: float
    tests: tuple[str, ...]
    rules: str
    scanned_bytes: int


class VirusScanner(Protocol):
    async def scan(self, content: bytes) -> VirusReport:
        """ScannerUnavailable: no answer. Unscannable: it answered that it cannot read this mail."""
        ...

    async def scan_forms(self, forms: Sequence[bytes]) -> VirusReport:
        """One report for octets that belong to one scanned mail: a virus in any of them is told.

        As `scan`. Unscannable, too, when all together take too long on a healthy engine.
        """
        ...

    async def signatures(self) -> str:
        """Version of engine and signatures, as the engine tells it."""
        ...


class SpamScanner(Protocol):
    async def check(self, content: bytes) -> SpamReport:
        """ScannerUnavailable: no answer. A mail over 512 KiB is judged by its beginning."""
        ...
