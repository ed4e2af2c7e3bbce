"""Bring a restored mailbox to the end of its journal.

A backup reads a mailbox while it is written: the state first, then the views, then the journal. If
the journal ends at the state, no step was made meanwhile, and the mailbox is as it was. Otherwise
some views have the steps after the state and others lack them. Then the last entry's redo has the
state, and all views are compared with the journal and repaired, as a rebuild does. The state is
written last, so that a call that was cut short is repeated whole.
"""

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence

from mail.mailbox.consistency_check import JournalDamaged
from schemas.consistency import LISTS, ExpectedMessage
from schemas.cql.mail_store import JOURNAL, JOURNAL_SHIFT, LIST_ROW
from schemas.ids import FolderId, MessageId, UserId
from schemas.mail import HeaderSummary
from stores.cassandra.mail_store.check.findings import CheckFindings
from stores.cassandra.mail_store.check.mailbox_check import MailboxCheck
from stores.cassandra.mail_store.commit_plan import Redo, decode_redo, message_rows, usage_row
from stores.cassandra.mail_store.history import History
from stores.cassandra.mail_store.lists import member_keys, rows_of
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.ownership import Ownership
from stores.cassandra.mail_store.stamps import RowWrite, delete
from stores.cassandra.mail_store.statements import MailboxStatements
from stores.cassandra.session import CassandraSession

log = logging.getLogger(__name__)
Heads = Callable[[Sequence[ExpectedMessage]], Awaitable[Mapping[MessageId, HeaderSummary]]]
ROUNDS_MAX = 4  # repairs, until a comparison finds no difference
ENTRIES = 200
_LAST = JOURNAL.select("seq, redo", "ORDER BY seq DESC LIMIT 1")


class CatchUp:
    """Brings mailboxes to the end of their journals, before any process writes them.

    `heads` returns the header summaries of contents, for messages whose row is missing.
    """

    def __init__(self, session: CassandraSession, heads: Heads) -> None:
        self._session = session
        self._heads = heads
        self._reads = MailboxReads(session)
        self._history = History(self._reads)
        self._statements = MailboxStatements(session)
        self._ownership = Ownership(session, self._statements)

    async def run(self, user_id: UserId) -> bool:
        """Return whether the mailbox was behind its journal. Raises StoreUnavailable, Fatal."""
        _, state = await self._reads.stored(user_id)
        redo = await self._last_redo(user_id, state.seq)
        if redo is None or redo.seq <= state.seq:
            return False
        generation = await self._ownership.claim(user_id, seq=redo.seq)
        await self._statements.write(redo.views, seq=redo.seq, generation=generation)
        try:
            await self._repair(user_id, redo)
            await self._find_again(user_id, redo, state.seq)
        except JournalDamaged as error:  # it was damaged before: the mailbox is set aside
            log.error("user %s: the journal is damaged: %s", user_id, error)  # noqa: TRY400
        generation = await self._ownership.claim(user_id, seq=redo.seq)
        last = [usage_row(user_id, redo.domain_id, redo.state.usage)]
        await self._statements.write(last, seq=redo.seq, generation=generation)
        state_row = redo.last(user_id, generation)
        await self._statements.write([state_row], seq=redo.seq, generation=generation)
        return True

    async def _last_redo(self, user_id: UserId, seq: int) -> Redo | None:
        """The redo of the last entry above `seq`; None: there is none."""
        seq = max(seq, await self._reads.folded_seq(user_id))
        bucket, redo = (seq + 1) >> JOURNAL_SHIFT, None
        while rows := await self._session.read(_LAST, user_id, bucket):
            last_seq, of_bucket = rows[0]
            if last_seq is None:
                break
            bucket, redo = bucket + 1, of_bucket or redo  # the last bucket has it
        return None if redo is None else decode_redo(redo)

    async def _repair(self, user_id: UserId, redo: Redo) -> None:
        """Repair all views but the state. Each round has its own generation, whose rows win."""
        heads: Mapping[MessageId, HeaderSummary] = {}
        rounds = 0
        while rounds < ROUNDS_MAX:
            found = await self._round(user_id, redo, heads)
            heads = await self._heads(found.lacking)
            rounds += not found.lacking
            if not found.lacking and not found.mended:
                return
        log.error("user %s: views still differ from the journal: postriver verify", user_id)

    async def _round(
        self, user_id: UserId, redo: Redo, heads: Mapping[MessageId, HeaderSummary]
    ) -> CheckFindings:
        generation = await self._ownership.claim(user_id, seq=redo.seq)

        async def write(rows: list[RowWrite]) -> None:
            await self._statements.write(rows, seq=redo.seq, generation=generation)

        found = CheckFindings((LISTS,), write)
        check = MailboxCheck(self._reads, user_id, found, heads)
        await check.run(redo.domain_id, redo.state, generation)
        return found

    async def _find_again(self, user_id: UserId, redo: Redo, after: int) -> None:
        """Write the rows that lead to the messages of the steps after `after`.

        Of the members of threads in folders, rows are deleted that the steps have deleted: these
        lists have no heads, so a comparison does not read them all.
        """
        seq = max(after, await self._reads.folded_seq(user_id))
        generation = await self._ownership.claim(user_id, seq=redo.seq)
        while entries := await self._history.entries(user_id, seq, redo.seq, ENTRIES):
            folders: dict[MessageId, set[FolderId]] = defaultdict(set)
            for change in (change for entry in entries for change in entry.changes):
                folders[change.message_id] |= change.left.keys() | change.places.keys()
            rows = await self._reads.rows(user_id, folders)
            writes = [write for row in rows.values() for write in message_rows(row, None)]
            writes += [
                delete(LIST_ROW, user_id, key.list, 0, key.bucket, *key.position)
                for row in rows.values()
                for key in member_keys(row, folders[row.message_id]) - rows_of(row).keys()
            ]
            await self._statements.write(writes, seq=redo.seq, generation=generation)
            seq = entries[-1].seq
