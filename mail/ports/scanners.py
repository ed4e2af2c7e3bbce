"""VirusScanner and SpamScanner: verdicts of external engines about one mail."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class VirusReport(msgspec.Struct, frozen=True, kw_only=True):
    """`virus` is "" for a clean mail; `signatures` names the engine's version and database."""

    virus: str
    signatures: str
    encrypted: bool = False  # an encrypted part could not be scanned


class SpamReport(msgspec.Struct, frozen=True, kw_only=True):
    score: float
    tests: tuple[str, ...]
    rules: str
    scanned_bytes: int


class VirusScanner(Protocol):
    async def scan(self, content: bytes) -> VirusReport:
        """Scan one mail.

        Raises ScannerUnavailable: the engine does not answer. Unscannable: the engine answers that
        it cannot scan this mail.
        """
        ...

    async def scan_forms(self, forms: Sequence[bytes]) -> VirusReport:
        """Scan the forms of one mail, and return one report: a virus in any form counts.

        Raises as `scan`, and Unscannable: all forms together take too long on a healthy engine.
        """
        ...

    async def signatures(self) -> str:
        """Return the version of the engine and its signatures."""
        ...


class SpamScanner(Protocol):
    async def check(self, content: bytes) -> SpamReport:
        """Check one mail; of a mail over 512 KiB, its beginning.

        Raises ScannerUnavailable: the engine does not answer.
        """
        ...
