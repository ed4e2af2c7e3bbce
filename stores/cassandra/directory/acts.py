"""Acts of operators: rows by id, and one list of their times."""

import msgspec

from mail.pagination import NEWEST, ListPosition
from schemas.cql.directory import ACT_TIME, OPERATOR_ACT
from schemas.directory import OperatorAct
from stores.cassandra.clock import now_us
from stores.cassandra.directory.part import DirectoryPart
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.session import CassandraSession

LOG = "acts"
_PAGE = ACT_TIME.select("at_ms, act_id", "AND (at_ms, act_id) < (?, ?) LIMIT ?")
_OLD = ACT_TIME.select("act_id", "AND at_ms < ?")
_CUT_OLD = "DELETE FROM act_time USING TIMESTAMP ? WHERE log = ? AND at_ms < ?"


class ActsPart(DirectoryPart):
    """Acts. An id is listed before its row is written, and is shown once there is a row."""

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self._acts: GuardedRows[OperatorAct] = GuardedRows(session, OPERATOR_ACT, OperatorAct)

    async def add_act(self, act: OperatorAct) -> None:
        await self._acts.change(
            act.act_id,
            to=lambda there: act if there is None else there,
            first=lambda _: [(ACT_TIME.put, (LOG, act.at_ms, act.act_id, now_us()))],
        )

    async def end_act(self, act_id: str, outcome: str) -> None:
        def ended(row: OperatorAct | None) -> OperatorAct | None:
            if row is None or row.outcome:
                return row
            return msgspec.structs.replace(row, outcome=outcome)

        await self._acts.change(act_id, to=ended)

    async def acts(self, *, limit: int, before: ListPosition = NEWEST) -> list[OperatorAct]:
        found: list[OperatorAct] = []
        while len(found) < limit:
            keys = await self._session.read(_PAGE, LOG, *before, limit)
            rows = await self._acts.get_many([act_id for _, act_id in keys])
            found += [row for row in rows if row is not None]
            if len(keys) < limit:
                break
            before = (keys[-1][0], keys[-1][1])
        return found[:limit]

    async def prune_acts(self, *, before_ms: int) -> int:
        old = await self._session.read(_OLD, LOG, before_ms)
        for (act_id,) in old:
            await self._acts.change(act_id, to=lambda _: None)
        if old:
            await self._session.write([(_CUT_OLD, (now_us(), LOG, before_ms))])
        return len(old)
