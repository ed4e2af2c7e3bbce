"""OutlineStore in memory."""

from collections.abc import Mapping, Sequence

from mail.ports import OutlineStore
from schemas.ids import MailId
from schemas.outline import MailOutline
from stores.memory.faults import FaultHook, no_fault, take_step


class MemoryOutlineStore(OutlineStore):
    """Steps for `fault`: put, get, delete. The outlines are in `outlines`, by mail id."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.outlines: dict[MailId, MailOutline] = {}

    async def put(self, mail_id: MailId, outline: MailOutline) -> None:
        await take_step(self.fault, "put")
        self.outlines[mail_id] = outline

    async def get(self, mail_ids: Sequence[MailId]) -> Mapping[MailId, MailOutline]:
        await take_step(self.fault, "get")
        return {id_: self.outlines[id_] for id_ in mail_ids if id_ in self.outlines}

    async def delete(self, mail_ids: Sequence[str]) -> None:
        await take_step(self.fault, "delete")
        for mail_id in mail_ids:
            self.outlines.pop(MailId(mail_id), None)

    async def ids(self, *, after: str, limit: int) -> list[MailId]:
        await take_step(self.fault, "get")
        return sorted(mail_id for mail_id in self.outlines if mail_id > after)[:limit]
