"""ContentStore in memory."""

import hashlib
from collections.abc import Iterable

from mail.errors import ContentMissing
from mail.ports import ContentStore
from mail.times import now_ms
from schemas.content import Stored
from stores.content_ids import check_content_id, mail_time_ms
from stores.memory.faults import Fault, no_fault, take_step


class MemoryContentStore(ContentStore):
    """Steps that `fault` meets: put, get, delete. The contents are in `contents`, by ref."""

    def __init__(self, *, fault: Fault = no_fault) -> None:
        self.fault = fault
        self.contents: dict[str, bytes] = {}
        self._put_at_ms: dict[str, int] = {}

    async def put(self, mail_id: str, content: bytes) -> Stored:
        check_content_id(mail_id)
        await take_step(self.fault, "put")
        kept = self.contents.setdefault(mail_id, bytes(content))
        self._put_at_ms.setdefault(mail_id, now_ms())
        return Stored(mail_id, len(kept), hashlib.sha256(kept).hexdigest())

    async def get(self, ref: str) -> bytes:
        await take_step(self.fault, "get")
        try:
            return self.contents[ref]
        except KeyError:
            raise ContentMissing(ref) from None

    async def older(
        self, *, before_ms: int, place: str | None, limit: int
    ) -> tuple[list[str], str | None]:
        await take_step(self.fault, "get")
        looked = [ref for ref in sorted(self.contents) if ref > (place or "")][:limit]
        found = [ref for ref in looked if mail_time_ms(ref, self._put_at_ms[ref]) < before_ms]
        return found, looked[-1] if len(looked) == limit else None

    async def delete(self, ref: str) -> None:
        await take_step(self.fault, "delete")
        self.contents.pop(ref, None)

    async def absent(self, refs: Iterable[str]) -> list[str]:
        await take_step(self.fault, "get")
        return [ref for ref in refs if ref not in self.contents]
