"""Virus check of deposits: the scanner is asked while the client waits; its verdict or an error.

Nothing is held back for an operator, so a deposit that is infected or cannot be scanned is refused.
The owner's own mail is not checked for spam.
A content that breaks the scanner is tried alone the next time. After two such failures it is
refused, so that a client that repeats it cannot keep the scanner down.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from mail.errors import Refused, ScannerSick, ScannerUnavailable, Unscannable
from mail.ports import VirusReport, VirusScanner
from mail.scanning.isolation import ScannerIsolation
from mail.scanning.virus_scan import scan_of
from schemas.mail import ENCRYPTED, PARTS, Verdict

SCAN_MAX_S = 90.0  # of one check; clamd ends a scan after 60 s
SUSPECTS_KEPT = 1_000  # contents whose last scan failed


class Infected(Refused):
    """The content has a virus; `virus` is the name of its signature."""

    def __init__(self, virus: str) -> None:
        super().__init__(f"A virus was found: {virus}.")
        self.virus = virus


class CannotBeScanned(Refused):
    """The scanner works, and cannot scan this content."""

    def __init__(self, why: str) -> None:
        super().__init__(f"It cannot be scanned for viruses: {why}.")


class VirusCheck:
    """Checks contents for one process. `deliver_encrypted`: the operator's rule for all mail."""

    def __init__(
        self, scanner: VirusScanner, *, deliver_encrypted: bool = True, limit_s: float = SCAN_MAX_S
    ) -> None:
        self._scanner = scanner
        self._deliver_encrypted = deliver_encrypted
        self._limit_s = limit_s
        self._isolation = ScannerIsolation()
        self._suspects: OrderedDict[str, None] = OrderedDict()  # SHA-256, the oldest first

    async def verdict(self, octets: bytes, forms: Sequence[bytes] | None = ()) -> Verdict:
        """Return the verdict `clean` on a mail and all its forms, or on a file without forms.

        `forms` None: the parser's limits are exceeded; the verdict says that parts are unchecked.
        Raises Infected; CannotBeScanned; ScannerUnavailable: try later.
        """
        report = await self._scan(octets, forms or ())
        if report.virus:
            raise Infected(report.virus)
        if report.encrypted and not self._deliver_encrypted:
            raise CannotBeScanned("something in it is encrypted")
        return Verdict(
            outcome="clean",
            signatures=report.signatures,
            unchecked=(ENCRYPTED,) * report.encrypted + (PARTS,) * (forms is None),
        )

    async def _scan(self, octets: bytes, forms: Sequence[bytes]) -> VirusReport:
        key = await _sha256(octets) if self._suspects else ""
        scan = scan_of(octets, forms, self._scanner)
        try:
            async with asyncio.timeout(self._limit_s):
                report = await self._isolation.ask(
                    scan, octets, key=key, alone=key in self._suspects
                )
        except Unscannable as error:
            raise CannotBeScanned(str(error)) from error
        except TimeoutError:
            await self._suspect(octets)
            raise ScannerUnavailable("virus scanner", f"no answer in {self._limit_s:g} s") from None
        except ScannerSick:
            raise
        except ScannerUnavailable:
            await self._suspect(octets)
            raise
        self._suspects.pop(key, None)
        return report

    async def _suspect(self, octets: bytes) -> None:
        self._suspects[await _sha256(octets)] = None
        if len(self._suspects) > SUSPECTS_KEPT:
            self._suspects.popitem(last=False)


async def _sha256(octets: bytes) -> str:
    return await asyncio.to_thread(lambda: hashlib.sha256(octets).hexdigest())
