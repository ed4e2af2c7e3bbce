"""Fold journal entries of a mailbox into its snapshot.

Folding may be cut short anywhere: its rows are absolute, and the snapshot row, which is written
after the records, says how far it came. Then the folded entries are deleted, by one deletion for
each bucket.
"""

from collections.abc import Iterable, Iterator

import msgspec

from mail.mailbox.consistency_check import JournalDamaged
from mail.mailbox.journal_replay import JournalReplay
from schemas.cql.mail_store import ID_BUCKETS, JOURNAL_SHIFT, SNAPSHOT, SNAPSHOT_RECORD
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import MessageId, UserId
from schemas.snapshot import MessageRecord, Snapshot
from stores.cassandra.mail_store.history import History
from stores.cassandra.mail_store.lists import encode
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import put
from stores.cassandra.mail_store.statements import MailboxStatements

FOLD_MAX = 100  # entries in one call
CHANGES_MAX = 500  # message changes in one call; one entry in any case
_RECORDS_OF = SNAPSHOT_RECORD.select("record", "AND message_id IN ?")
_FORGET = "DELETE FROM journal USING TIMESTAMP ? WHERE user_id = ? AND bucket = ? AND seq <= ?"
_record = msgspec.msgpack.Decoder(MessageRecord).decode


class Folding:
    """The folds of the mailboxes that this process writes."""

    def __init__(
        self, reads: MailboxReads, history: History, statements: MailboxStatements
    ) -> None:
        self._reads = reads
        self._session = reads.session
        self._history = history
        self._statements = statements

    async def fold(self, user_id: UserId, *, before_ms: int, to_seq: int, generation: int) -> int:
        """Return the number of folded entries. Raises JournalDamaged: nothing was written."""
        folded = await self._reads.snapshot(user_id)
        try:
            entries = await self._history.entries(user_id, folded.seq, to_seq, FOLD_MAX)
            due = list(_due(entries, before_ms))
            if not due:
                return 0
            known = await self._records_of(user_id, due)
            replay = JournalReplay(folded.state, known, folded.settings)
            for entry in due:
                replay.add(entry)
        except (ValueError, KeyError, msgspec.MsgspecError) as error:
            raise JournalDamaged(f"after seq {folded.seq}: {error}") from error
        after = Snapshot(state=replay.state, at_ms=due[-1].at_ms, settings=replay.settings)
        await self._write(user_id, folded.seq, after, replay, generation)
        return len(due)

    async def _records_of(
        self, user_id: UserId, entries: Iterable[MailboxChanged]
    ) -> dict[MessageId, MessageRecord]:
        """The snapshot's records of the messages that the entries change."""
        ids = sorted({change.message_id for entry in entries for change in entry.changes})
        found: dict[MessageId, MessageRecord] = {}
        for bucket in ID_BUCKETS:
            of_bucket = [id_ for id_ in ids if id_[:1] == bucket]
            for first in range(0, len(of_bucket), 100):
                part = of_bucket[first : first + 100]
                rows = await self._session.read(_RECORDS_OF, user_id, bucket, part)
                found |= {record.message_id: record for record in (_record(b) for (b,) in rows)}
        return found

    async def _write(
        self,
        user_id: UserId,
        from_seq: int,
        after: Snapshot,
        replay: JournalReplay,
        generation: int,
    ) -> None:
        seq = after.seq
        changed = [r for r in replay.records.values() if r.changed_seq > from_seq]
        records = [
            put(SNAPSHOT_RECORD, user_id, record.message_id[:1], record.message_id, encode(record))
            for record in changed
        ]
        await self._statements.write(records, seq=seq, generation=generation)
        row = put(SNAPSHOT, user_id, seq, encode(after))
        await self._statements.write([row], seq=seq, generation=generation)
        buckets = range((from_seq + 1) >> JOURNAL_SHIFT, (seq >> JOURNAL_SHIFT) + 1)
        forget = ((user_id, bucket, seq) for bucket in buckets)
        await self._statements.delete(_FORGET, *forget, seq=seq, generation=generation)


def _due(entries: Iterable[MailboxChanged], before_ms: int) -> Iterator[MailboxChanged]:
    """The entries to fold: the first that may be folded, up to CHANGES_MAX changes."""
    changes_left = CHANGES_MAX
    for entry in entries:
        if entry.at_ms >= before_ms or changes_left <= 0:
            return
        changes_left -= len(entry.changes)
        yield entry
