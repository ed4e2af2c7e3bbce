"""In-memory scanners that detect only the two standard test contents, EICAR and GTUBE.

For tests and demonstrations, never for real mail: all other content counts as clean.
`script` is a queue of outcomes for the next calls: a report to return or an exception to raise.
With `down`, every call raises ScannerUnavailable, as during an outage of an engine.
"""

import base64
import re
from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from mail.errors import ScannerUnavailable
from mail.ports import SpamReport, VirusReport

T = TypeVar("T")

SCANNED_MAX_BYTES = 512 * 1024
# The EICAR test file and the GTUBE line, encoded so that virus scanners ignore this source file.
EICAR = bytes.fromhex(
    "58354f2150254041505b345c505a58353428505e2937434329377d24"
    "45494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a"
)
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
GTUBE_SCORE = 1000.0
_ENCRYPTED_ZIP = re.compile(rb"PK\x03\x04..[\x01\x09]", re.DOTALL)  # bit 0 of the entry's flags
_EICAR_BASE64 = base64.b64encode(EICAR)[:-4]  # the last group depends on what follows


class MemoryVirusScanner:
    """VirusScanner that detects EICAR, unencoded or at the start of a base64 part."""

    def __init__(self) -> None:
        self.down = False
        self.script: deque[VirusReport | Exception] = deque()
        self.scanned: list[bytes] = []

    async def scan(self, content: bytes) -> VirusReport:
        version = await self.signatures()
        self.scanned.append(content)
        if self.script:
            return _outcome(self.script.popleft())
        is_infected = EICAR in content or _EICAR_BASE64 in content.replace(b"\r\n", b"")
        return VirusReport(
            virus="Eicar-Test-Signature" if is_infected else "",
            signatures=version,
            encrypted=_ENCRYPTED_ZIP.search(content) is not None,
        )

    async def scan_forms(self, forms: Sequence[bytes]) -> VirusReport:
        reports = [await self.scan(form) for form in forms]
        return VirusReport(
            virus=next((report.virus for report in reports if report.virus), ""),
            signatures=await self.signatures(),
            encrypted=any(report.encrypted for report in reports),
        )

    async def signatures(self) -> str:
        if self.down:
            raise ScannerUnavailable("clamd", "down")
        return "memory 1"


class MemorySpamScanner:
    """SpamScanner that detects GTUBE in the first SCANNED_MAX_BYTES of a mail."""

    def __init__(self) -> None:
        self.down = False
        self.script: deque[SpamReport | Exception] = deque()
        self.checked: list[bytes] = []

    async def check(self, content: bytes) -> SpamReport:
        if self.down:
            raise ScannerUnavailable("spamd", "down")
        self.checked.append(content)
        if self.script:
            return _outcome(self.script.popleft())
        beginning = content[:SCANNED_MAX_BYTES]
        is_spam = GTUBE in beginning
        return SpamReport(
            score=GTUBE_SCORE if is_spam else 0.0,
            tests=("GTUBE",) if is_spam else (),
            rules="memory 1",
            scanned_bytes=len(beginning),
        )


def _outcome(outcome: T | Exception) -> T:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
