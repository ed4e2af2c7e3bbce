"""Quarantine and Holders in memory."""

import builtins
from collections.abc import Iterable, Sequence

import msgspec

from mail.pagination import check_limit
from mail.ports import Holders, Quarantine
from mail.quarantine_rules import deleted, is_listed, released
from schemas.holders import Holder, kind_of_holder
from schemas.ids import MailId
from schemas.quarantine import Quarantined
from stores.memory.faults import FaultHook, no_fault, take_step


class MemoryQuarantine(Quarantine):
    """Steps for `fault`: put, read."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.rows: dict[str, Quarantined] = {}

    async def put(self, row: Quarantined) -> None:
        await take_step(self.fault, "put")
        self.rows.setdefault(row.mail_id, row)

    async def get(self, mail_id: MailId) -> Quarantined | None:
        await take_step(self.fault, "read")
        return self.rows.get(mail_id)

    async def get_many(self, mail_ids: Iterable[MailId]) -> list[Quarantined]:
        await take_step(self.fault, "read")
        return [self.rows[mail_id] for mail_id in mail_ids if mail_id in self.rows]

    async def list(
        self, *, limit: int, before: str | None = None, reason: str | None = None
    ) -> list[Quarantined]:
        check_limit(limit)
        await take_step(self.fault, "read")
        ids = sorted((id_ for id_ in self.rows if before is None or id_ < before), reverse=True)
        rows = [self.rows[id_] for id_ in ids if is_listed(self.rows[id_], reason)]
        return rows[:limit]

    async def release(self, mail_id: MailId, *, by: str, at_ms: int) -> None:
        await take_step(self.fault, "put")
        self.rows[mail_id] = released(self.rows.get(mail_id), mail_id, by=by, at_ms=at_ms)

    async def mark_published(self, mail_id: MailId) -> None:
        await take_step(self.fault, "put")
        if mail_id in self.rows:
            row = self.rows[mail_id]
            self.rows[mail_id] = msgspec.structs.replace(row, unpublished=False)

    async def list_unpublished(self, *, limit: int) -> builtins.list[Quarantined]:
        await take_step(self.fault, "read")
        return [row for _, row in sorted(self.rows.items()) if row.unpublished][:limit]

    async def delete(self, mail_id: MailId, *, by: str, at_ms: int) -> None:
        await take_step(self.fault, "put")
        self.rows[mail_id] = deleted(self.rows.get(mail_id), mail_id, by=by, at_ms=at_ms)


class MemoryHolders(Holders):
    """Steps for `fault`: hold, read, release. `rows` has the holders that are held."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.rows: dict[tuple[str, str], Holder] = {}
        self.released: set[tuple[str, str]] = set()

    async def hold(self, holders: Iterable[Holder]) -> None:
        rows = list(holders)
        await take_step(self.fault, "hold")
        for row in rows:
            if (row.mail_id, row.holder) not in self.released:
                self.rows.setdefault((row.mail_id, row.holder), row)

    async def list(self, mail_id: MailId) -> list[Holder]:
        await take_step(self.fault, "read")
        return [self.rows[key] for key in sorted(self.rows) if key[0] == mail_id]

    async def any_held(self, mail_ids: Sequence[MailId]) -> set[str]:
        await take_step(self.fault, "read")
        return {mail_id for mail_id, _ in self.rows} & set(mail_ids)

    async def held_by(
        self, kind: str, *, after: tuple[str, str] = ("", ""), limit: int
    ) -> builtins.list[Holder]:
        await take_step(self.fault, "read")
        keys = [key for key in sorted(self.rows) if kind_of_holder(key[1]) == kind and key > after]
        return [self.rows[key] for key in keys[:limit]]

    async def release(self, mail_id: MailId, holder: str) -> None:
        await self.release_all([(mail_id, holder)])

    async def release_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        keys = tuple(pairs)
        await take_step(self.fault, "release")
        for key in keys:
            self.rows.pop(key, None)
            self.released.add(key)

    async def forget_released(self, mail_ids: Sequence[str]) -> None:
        await take_step(self.fault, "release")
        self.released = {key for key in self.released if key[0] not in mail_ids}
