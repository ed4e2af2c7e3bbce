"""The journal of a mailbox up to one seq, replayed with bounded memory.

State and settings follow from the entries in their order. A message's record follows from its
record in the snapshot and from its changes, which are sorted by message.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import groupby

import msgspec

from mail.mailbox import consistency_check as rules
from mail.mailbox.journal_replay import record_after, state_after
from mail.mailbox.user_settings import stored_after
from mail.pagination import PAGE_MAX
from schemas.events.mailbox_events import MailboxChanged, MessageChange
from schemas.ids import MessageId, UserId
from schemas.mailbox import MailboxState, Usage
from schemas.snapshot import MessageRecord
from schemas.user_settings import StoredSettings
from stores.cassandra.mail_store.history import ENTRIES_MAX, History
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.sorted_rows import SortedRows

ChangeKey = tuple[MessageId, int]  # and seq


class ReplayedJournal:
    """State, settings and records according to the journal. Read `entries` to their end first."""

    def __init__(
        self,
        reads: MailboxReads,
        user_id: UserId,
        changes: SortedRows[ChangeKey, MessageChange],
    ) -> None:
        self._reads = reads
        self._history = History(reads)
        self._user_id = user_id
        self._changes = changes
        self.state = MailboxState()  # its usage is not known
        self.settings = StoredSettings()

    async def entries(self, to_seq: int) -> AsyncIterator[list[MailboxChanged]]:
        """Yield the entries after the snapshot, in parts, when they are replayed.

        Raises JournalDamaged: they do not follow each other up to `to_seq`.
        """
        snapshot = await self._reads.snapshot(self._user_id)
        self.state = snapshot.state
        self.settings = snapshot.settings or StoredSettings()
        while entries := await self._read(to_seq):
            for entry in entries:
                self._add(entry)
            yield entries
        if self.state.seq != to_seq:
            end = f"it ends at seq {self.state.seq}, the mailbox is at {to_seq}"
            raise rules.JournalDamaged(end)

    async def _read(self, to_seq: int) -> list[MailboxChanged]:
        seq = self.state.seq
        try:
            return await self._history.entries(self._user_id, seq, to_seq, ENTRIES_MAX)
        except (ValueError, msgspec.MsgspecError) as error:
            raise rules.damaged(seq, error) from error

    def _add(self, entry: MailboxChanged) -> None:
        if entry.seq != self.state.seq + 1:
            error = ValueError(f"seq {entry.seq} does not follow {self.state.seq}")
            raise rules.damaged(self.state.seq, error)
        self.state = state_after(self.state, entry, Usage())
        self.settings = stored_after(self.settings, entry)
        for change in entry.changes:
            self._changes.add((change.message_id, entry.seq), change)

    async def records(self) -> AsyncIterator[MessageRecord]:
        """Yield every record, by message id. Raises JournalDamaged: a change of no message."""
        changes = self._by_message()
        changed = next(changes, None)
        async for record in self._snapshot_records():
            while changed and changed[0] < record.message_id:
                yield _replayed(None, changed[1])
                changed = next(changes, None)
            if changed and changed[0] == record.message_id:
                yield _replayed(record, changed[1])
                changed = next(changes, None)
            else:
                yield record
        while changed:
            yield _replayed(None, changed[1])
            changed = next(changes, None)

    def _by_message(self) -> Iterator[tuple[MessageId, list[tuple[int, MessageChange]]]]:
        for message_id, rows in groupby(self._changes, key=lambda row: row[0][0]):
            yield message_id, [(seq, change) for (_, seq), change in rows]

    async def _snapshot_records(self) -> AsyncIterator[MessageRecord]:
        after = ""
        while some := await self._history.records(self._user_id, after_id=after, limit=PAGE_MAX):
            for record in some:
                yield record
            after = some[-1].message_id


def _replayed(
    record: MessageRecord | None, changes: list[tuple[int, MessageChange]]
) -> MessageRecord:
    for seq, change in changes:
        try:
            record = record_after(seq, change, record)
        except ValueError as error:
            raise rules.damaged(seq - 1, error) from error
    assert record is not None
    return record
