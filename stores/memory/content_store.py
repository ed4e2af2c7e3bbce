"""ContentStore in memory, with its sweep."""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from mail.clock import now_ms
from mail.errors import ContentMissing
from mail.ids import check_content_id
from mail.octet_ranges import check_range
from mail.ports import ContentStore, ContentSweep
from schemas.content import Lease, Stored
from schemas.ids import MailId
from stores.memory.faults import FaultHook, no_fault, take_step


class MemoryContentStore(ContentStore, ContentSweep):
    """Steps for `fault`: put, get, sweep, lease. The contents are in `contents`, by ref."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.contents: dict[str, bytes] = {}
        self._turns: dict[str, int] = {}
        self._leases: dict[str, Lease] = {}

    async def put(self, mail_id: MailId, content: bytes) -> Stored:
        check_content_id(mail_id)
        await take_step(self.fault, "put")
        kept = self.contents.setdefault(mail_id, bytes(content))
        self._turns.pop(mail_id, None)
        return Stored(mail_id, len(kept), hashlib.sha256(kept).hexdigest())

    async def get(self, ref: str) -> bytes:
        await take_step(self.fault, "get")
        try:
            return self.contents[ref]
        except KeyError:
            raise ContentMissing(ref) from None

    async def read(self, ref: str, *, start: int, size_bytes: int) -> bytes:
        check_range(start, size_bytes)
        return (await self.get(ref))[start : start + size_bytes]

    async def missing(self, refs: Iterable[str]) -> list[str]:
        await take_step(self.fault, "get")
        return [ref for ref in refs if ref not in self.contents]

    async def walk(self, *, place: str | None, limit: int) -> tuple[list[MailId], str | None]:
        await take_step(self.fault, "get")
        refs = [MailId(ref) for ref in sorted(self.contents) if ref > (place or "")][:limit]
        return refs, refs[-1] if len(refs) == limit else None

    async def loose(self, *, after: str, limit: int) -> list[MailId]:
        await take_step(self.fault, "get")
        return [MailId(ref) for ref in sorted(self._turns) if ref > after][:limit]

    async def sweep(
        self, *, loose: Sequence[str], held: Sequence[str] = (), turns: int
    ) -> list[str]:
        await take_step(self.fault, "sweep")
        if self._leases:
            return []
        for ref in held:
            self._turns.pop(ref, None)
        for ref in loose:
            self._turns[ref] = self._turns.get(ref, 0) + 1
        expired = [ref for ref in loose if self._turns[ref] >= turns]
        for ref in expired:
            self.contents.pop(ref, None)
            del self._turns[ref]
        return expired

    async def take_lease(self, lease_id: str, purpose: str) -> None:
        await take_step(self.fault, "lease")
        lease = Lease(lease_id=lease_id, purpose=purpose, taken_at_ms=now_ms(), beats=0)
        self._leases.setdefault(lease_id, lease)

    async def renew_lease(self, lease_id: str) -> bool:
        await take_step(self.fault, "lease")
        lease = self._leases.get(lease_id)
        if lease is None:
            return False
        self._leases[lease_id] = msgspec.structs.replace(lease, beats=lease.beats + 1)
        return True

    async def end_lease(self, lease_id: str) -> None:
        await take_step(self.fault, "lease")
        self._leases.pop(lease_id, None)

    async def leases(self) -> list[Lease]:
        await take_step(self.fault, "get")
        return [self._leases[lease_id] for lease_id in sorted(self._leases)]
