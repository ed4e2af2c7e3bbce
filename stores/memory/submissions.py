"""Submissions in memory."""

import builtins
from collections.abc import Collection, Iterable, Sequence
from operator import itemgetter

from mail.pagination import check_limit
from mail.ports.submissions import (
    FIRST,
    SendingVolume,
    SettledPlace,
    SubmissionChanged,
    Submissions,
)
from mail.sending.submission_rows import is_final, settled_at_ms
from schemas.ids import SubmissionId, UserId
from schemas.submissions import HELD, Submission
from stores.memory.faults import FaultHook, no_fault, take_step


class MemorySubmissions(Submissions):
    """Steps for `fault`: put, read, delete."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.rows: dict[SubmissionId, Submission] = {}
        self.released: set[SubmissionId] = set()
        self.keys: dict[tuple[UserId, str], SubmissionId] = {}

    async def put(self, row: Submission) -> None:
        await take_step(self.fault, "put")
        stored = self.rows.get(row.submission_id)
        if stored == row:
            return
        if (stored.version if stored else 0) != row.version - 1:
            raise SubmissionChanged(row.submission_id)
        self.rows[row.submission_id] = row
        if row.version == 1 and row.idempotency_key:
            self.keys[row.user_id, row.idempotency_key] = row.submission_id

    async def get(self, submission_id: SubmissionId) -> Submission | None:
        await take_step(self.fault, "read")
        return self.rows.get(submission_id)

    async def by_key(self, user_id: UserId, idempotency_key: str) -> Submission | None:
        await take_step(self.fault, "read")
        submission_id = self.keys.get((user_id, idempotency_key))
        return None if submission_id is None else self.rows[submission_id]

    async def list(
        self, user_id: UserId, *, before: SubmissionId | None = None, limit: int
    ) -> builtins.list[Submission]:
        check_limit(limit)
        rows = [row for row in await self._rows() if row.user_id == user_id]
        rows = [row for row in rows if before is None or row.submission_id < before]
        return rows[::-1][:limit]

    async def held(
        self, partitions: Collection[int], *, until_ms: int, limit: int
    ) -> builtins.list[Submission]:
        check_limit(limit)
        rows = [
            row
            for row in await self._rows()
            if row.status == HELD and row.partition in partitions and row.fire_at_ms <= until_ms
        ]
        return sorted(rows, key=lambda row: row.fire_at_ms)[:limit]

    async def volume(self, user_id: UserId, *, since_ms: int) -> SendingVolume:
        sizes = [
            len(row.recipients)
            for row in await self._rows()
            if row.user_id == user_id and row.created_at_ms >= since_ms
        ]
        return SendingVolume(len(sizes), sum(sizes))

    async def walk(self, *, after: SubmissionId, limit: int) -> builtins.list[Submission]:
        check_limit(limit)
        return [row for row in await self._rows() if row.submission_id > after][:limit]

    async def settled(
        self, *, after: SettledPlace = FIRST, before_ms: int, limit: int
    ) -> builtins.list[Submission]:
        check_limit(limit)
        rows = [row for place, row in await self._settled(before_ms) if place > after]
        return [row for row in rows if row.submission_id not in self.released][:limit]

    async def set_released(self, submission_ids: Sequence[SubmissionId]) -> None:
        await take_step(self.fault, "put")
        self.released |= {id_ for id_ in submission_ids if is_final(self.rows[id_])}

    async def delete_released(self, *, before_ms: int, limit: int) -> int:
        check_limit(limit)
        await take_step(self.fault, "delete")
        rows = [row for _, row in await self._settled(before_ms)]
        released = [row.submission_id for row in rows if row.submission_id in self.released]
        old = set(released[:limit])
        for submission_id in old:
            del self.rows[submission_id]
        self.keys = {key: id_ for key, id_ in self.keys.items() if id_ not in old}
        return len(old)

    async def _settled(self, before_ms: int) -> builtins.list[tuple[SettledPlace, Submission]]:
        settled = [
            ((at_ms, row.submission_id), row)
            for row in await self._rows()
            if (at_ms := settled_at_ms(row)) is not None and at_ms < before_ms
        ]
        return sorted(settled, key=itemgetter(0))

    async def _rows(self) -> Iterable[Submission]:
        await take_step(self.fault, "read")
        return [row for _, row in sorted(self.rows.items())]
