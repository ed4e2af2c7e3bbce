"""ContentStore in memory."""

import hashlib
from collections.abc import Iterable

from mail.errors import ContentMissing
from mail.ports import ContentStore
from schemas.content import Stored
from stores.content_ids import check_content_id
from stores.memory.faults import Fault, no_fault, take_step


class MemoryContentStore(ContentStore):
    """Steps that `fault` meets: put, get, delete. The contents are in `contents`, by ref."""

    def __init__(self, *, fault: Fault = no_fault) -> None:
        self.fault = fault
        self.contents: dict[str, bytes] = {}

    async def put(self, mail_id: str, content: bytes) -> Stored:
        check_content_id(mail_id)
        await take_step(self.fault, "put")
        kept = self.contents.setdefault(mail_id, bytes(content))
        return Stored(mail_id, len(kept), hashlib.sha256(kept).hexdigest())

    async def get(self, ref: str) -> bytes:
        await take_step(self.fault, "get")
        try:
            return self.contents[ref]
        except KeyError:
            raise ContentMissing(ref) from None

    async def delete(self, ref: str) -> None:
        await take_step(self.fault, "delete")
        self.contents.pop(ref, None)

    async def absent(self, refs: Iterable[str]) -> list[str]:
        await take_step(self.fault, "get")
        return [ref for ref in refs if ref not in self.contents]
