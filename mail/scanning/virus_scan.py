"""Scan of a whole mail: its octets, then each form in which a reader can receive a part of it.

Scanners parse MIME in their own way, so what clients download is scanned as clients receive it.
"""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from mail.ports import VirusReport, VirusScanner


def scan_of(
    mail: bytes, forms: Sequence[bytes], scanner: VirusScanner
) -> Callable[[bytes], Awaitable[VirusReport]]:
    """A function that scans octets; if they are `mail`, it scans `forms` after them.

    The function is for ScannerIsolation.ask, which also scans a probe.
    """

    async def scan_octets(octets: bytes) -> VirusReport:
        whole = await scanner.scan(octets)
        if whole.virus or octets is not mail or not forms:
            return whole
        parts = await scanner.scan_forms(forms)
        return msgspec.structs.replace(parts, encrypted=whole.encrypted or parts.encrypted)

    return scan_octets
