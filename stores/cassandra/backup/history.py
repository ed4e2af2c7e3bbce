"""Copy the histories of mailboxes: snapshot, journal, and the claims of its writers.

A mailbox is copied by itself. If its journal was folded meanwhile, it is copied again. The last
entry is copied with its redo, which has the state after it: both are one mutation. Claims follow
the journal, so that no copied row has a generation above them.
"""

import asyncio
from collections.abc import Sequence

from mail.errors import StoreUnavailable
from schemas.cql.mail_store import (
    CLAIM,
    ID_BUCKETS,
    JOURNAL,
    JOURNAL_SHIFT,
    SNAPSHOT,
    SNAPSHOT_RECORD,
)
from schemas.cql.tables import Table
from schemas.ids import UserId
from stores.cassandra.backup.rows import CopiedRows, RowSink, pages, tried
from stores.cassandra.mail_store.commit_plan import Redo, decode_redo
from stores.cassandra.mail_store.lists import encode
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.session import CassandraSession, Row

FOLDS_MAX = 20
USERS = "SELECT DISTINCT user_id FROM claim"  # claimed before the first step
_SNAPSHOT = SNAPSHOT.select(", ".join(SNAPSHOT.key + SNAPSHOT.values))
_RECORDS = SNAPSHOT_RECORD.select(", ".join(SNAPSHOT_RECORD.key + SNAPSHOT_RECORD.values))
_CLAIMS = CLAIM.select(", ".join(CLAIM.key))
_WITHOUT_REDO = (*JOURNAL.key, "entry")
_ENTRIES = JOURNAL.select(", ".join(_WITHOUT_REDO), "AND seq > ?")
_LAST = JOURNAL.select(", ".join(JOURNAL.key + JOURNAL.values), "AND seq = ?")


async def copy_histories(session: CassandraSession, sink: RowSink) -> int:
    """Copy the history of every mailbox; return their number. Raises StoreUnavailable."""
    number = 0
    async for page in pages(session, USERS):
        for (user_id,) in page:
            mark = sink.mark()
            await tried(lambda: _copy(session, user_id, sink, mark))  # noqa: B023
            number += 1
    return number


async def _copy(session: CassandraSession, user_id: UserId, sink: RowSink, mark: int) -> None:
    for _ in range(FOLDS_MAX):
        sink.rewind(mark)
        folded = await session.read(_SNAPSHOT, user_id)
        _add(sink, SNAPSHOT, folded)
        for rows in await asyncio.gather(
            *(session.read(_RECORDS, user_id, bucket) for bucket in ID_BUCKETS)
        ):
            _add(sink, SNAPSHOT_RECORD, rows)
        await _copy_journal(session, user_id, folded[0][1] if folded else 0, sink)
        _add(sink, CLAIM, await session.read(_CLAIMS, user_id))
        if await session.read(_SNAPSHOT, user_id) == folded:
            return
    raise StoreUnavailable("cassandra", f"the journal of user {user_id} is folded all the time")


async def _copy_journal(
    session: CassandraSession, user_id: UserId, after: int, sink: RowSink
) -> None:
    """Copy the entries with a seq above `after`."""
    seq = after
    while True:
        last = seq
        while rows := await _entries(session, user_id, seq):
            _add(sink, JOURNAL, rows, _WITHOUT_REDO)
            seq = rows[-1][2]
        if seq == after:
            return
        rows = await session.read(_LAST, user_id, seq >> JOURNAL_SHIFT, seq)
        if not rows:
            return  # folded meanwhile: the caller copies it again
        if rows[0][4] is not None and decode_redo(rows[0][4]).seq == seq:
            _add(sink, JOURNAL, rows)
            return
        domain_id, state = await MailboxReads(session).stored(user_id)
        if state.seq == seq:  # the redo is that of a later entry, which was deleted
            redo = encode(Redo(seq, (), domain_id, state))
            _add(sink, JOURNAL, [(*rows[0][:4], redo)])
            return
        if seq == last:
            raise StoreUnavailable("cassandra", f"user {user_id} seq {seq}: a step is not finished")


async def _entries(session: CassandraSession, user_id: UserId, seq: int) -> list[Row]:
    """Entries of one bucket above `seq`; a bucket without entries may still have its redo."""
    rows = await session.read(_ENTRIES, user_id, (seq + 1) >> JOURNAL_SHIFT, seq)
    return [row for row in rows if row[2] is not None]


def _add(sink: RowSink, table: Table, rows: Sequence[Row], columns: tuple[str, ...] = ()) -> None:
    if rows:
        sink.add(CopiedRows(table.name, columns or table.key + table.values, list(rows)))
