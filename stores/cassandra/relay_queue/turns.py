"""Turns of destinations: which destination of a partition is asked next.

A destination has a row with its turn, and its mails are a queue of their own. A writer puts the
mail's entry into that queue, then sees that the turn is early enough, then writes the mail. A
process that claims sets the turn, then looks at the queue again. So of both at least one sees the
other, and no mail waits without a turn.
"""

from collections.abc import Callable, Collection

import msgspec

from schemas.cql.relay import RELAY_TURN, DestinationTurn
from stores.cassandra.due_entries import FOREVER_MS, DueEntries, DueEntry, DueState, each, verdict
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.session import CassandraSession, Statement

PAUSE_MS = 1_000  # of a destination whose only due mail is being written
ONE_SHARD = (0,)
_replace = msgspec.structs.replace


class Turns:
    """The turns of all destinations, and the queue of each."""

    def __init__(self, session: CassandraSession) -> None:
        self._session = session
        self._rows: GuardedRows[DestinationTurn] = GuardedRows(session, RELAY_TURN, DestinationTurn)
        self._entries = DueEntries(session, "relay turn")

    def queue(self, destination: str, partition: int) -> DueEntries:
        """The mails of a destination, by their earliest attempt."""
        return DueEntries(self._session, f"relay {partition} {destination}")

    async def due(
        self, partitions: Collection[int], *, now_ms: int, busy: Collection[str], limit: int
    ) -> list[DueEntry]:
        """Return the entries of destinations whose turn it is; `shard` is the partition."""

        async def judge(entry: DueEntry) -> DueEntry | DueState:
            if entry.key in busy:
                return DueState.EARLY
            row = await self._rows.get(entry.key, entry.shard)
            turn = verdict(entry, row, _is_turn)
            return turn if isinstance(turn, DueState) else entry

        return await self._entries.rows(
            each(judge), until_ms=now_ms, limit=limit, shards=partitions
        )

    async def wake(self, destination: str, partition: int, *, due_ms: int) -> None:
        """Let the turn be no later than a mail that is due at `due_ms`."""

        def woken(row: DestinationTurn | None) -> DestinationTurn:
            if row is None:
                return DestinationTurn(turn_at_ms=due_ms)
            turn_ms = max(row.claimed_at_ms, due_ms)
            if row.turn_at_ms is not None and row.turn_at_ms <= turn_ms:
                return row
            return _replace(row, turn_at_ms=turn_ms, version=row.version + 1)

        await self._change(destination, partition, woken)

    async def taken(
        self, destination: str, partition: int, *, now_ms: int, is_claimed: bool
    ) -> None:
        """Set the next turn after a claim at `now_ms`, or after there was nothing to claim."""
        seen_ms = await self._next_ms(destination, partition)
        next_ms = seen_ms
        if seen_ms is not None and seen_ms <= now_ms and not is_claimed:
            next_ms = now_ms + PAUSE_MS

        def turned(row: DestinationTurn | None) -> DestinationTurn | None:
            if row is None:
                return None
            claimed_ms = max(row.claimed_at_ms, now_ms) if is_claimed else row.claimed_at_ms
            turn_ms = None if next_ms is None else max(claimed_ms, next_ms)
            after = _replace(row, turn_at_ms=turn_ms, claimed_at_ms=claimed_ms)
            return row if after == row else _replace(after, version=row.version + 1)

        await self._change(destination, partition, turned)
        since_ms = await self._next_ms(destination, partition)
        if since_ms is not None and (seen_ms is None or since_ms < seen_ms):
            await self.wake(destination, partition, due_ms=since_ms)

    async def _change(
        self,
        destination: str,
        partition: int,
        to: Callable[[DestinationTurn | None], DestinationTurn | None],
    ) -> None:
        stale: list[Statement] = []

        def changed(row: DestinationTurn | None) -> DestinationTurn | None:
            after = to(row)
            if row is not None and after != row and row.turn_at_ms is not None:
                due_ms, version = row.turn_at_ms, row.version
                stale[:] = [
                    self._entries.removal(
                        destination, due_at_ms=due_ms, version=version, shard=partition
                    )
                ]
            return after

        def entry(row: DestinationTurn) -> list[Statement]:
            if row.turn_at_ms is None:
                return []
            due_ms, version = row.turn_at_ms, row.version
            return self._entries.put(
                destination, due_at_ms=due_ms, version=version, shard=partition
            )

        await self._rows.change(destination, partition, to=changed, first=entry)
        await self._session.write(stale)

    async def _next_ms(self, destination: str, partition: int) -> int | None:
        """When the first entry of the destination is due; it may be stale."""
        queue = self.queue(destination, partition)
        found = await queue.due(until_ms=FOREVER_MS, limit=1, shards=ONE_SHARD)
        return found[0].due_at_ms if found else None


def _is_turn(row: DestinationTurn, entry: DueEntry) -> bool:
    return row.turn_at_ms == entry.due_at_ms
