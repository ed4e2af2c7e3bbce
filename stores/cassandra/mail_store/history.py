"""The journal of a mailbox: its entries, the snapshot, and folding entries into it.

Folding may be cut short anywhere: its rows are absolute, and the snapshot row, which is written
after the records, says how far it came. Then the folded entries are deleted, by one deletion for
each bucket.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from mail.errors import JournalTruncated
from mail.mailbox.consistency_check import JournalDamaged
from mail.mailbox.journal_replay import JournalReplay
from mail.pagination import check_limit
from schemas.cql.mail_store import (
    COMMAND,
    ID_BUCKETS,
    JOURNAL,
    JOURNAL_SHIFT,
    SNAPSHOT,
    SNAPSHOT_RECORD,
)
from schemas.events.mailbox_commands import BulkFolderCommand
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import CommandId, FolderId, MessageId, UserId
from schemas.snapshot import MessageRecord, Snapshot
from stores.cassandra.mail_store.lists import encode
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import put, stamp_of, stamped

FOLD_MAX = 100  # entries in one call
CHANGES_MAX = 500  # message changes in one call; one entry in any case
ENTRIES_MAX = 200  # in one query
_ENTRIES = JOURNAL.select("entry", "AND seq > ? AND seq <= ? LIMIT ?")
_ENTRY = JOURNAL.select("entry", "AND seq = ?")
_COMMAND = COMMAND.select("seq, follow_up")
_COMMANDS = "SELECT command_id, seq FROM command WHERE user_id = ? AND command_id IN ?"
_RECORDS = SNAPSHOT_RECORD.select("record", "AND message_id > ? LIMIT ?")
_RECORDS_OF = SNAPSHOT_RECORD.select("record", "AND message_id IN ?")
_FORGET = "DELETE FROM journal USING TIMESTAMP ? WHERE user_id = ? AND bucket = ? AND seq <= ?"
_entry = msgspec.msgpack.Decoder(MailboxChanged).decode
_follow_up = msgspec.msgpack.Decoder(BulkFolderCommand).decode
_record = msgspec.msgpack.Decoder(MessageRecord).decode


class History:
    """Reads of the journal and the snapshot of any mailbox, and the fold of its writer."""

    def __init__(self, reads: MailboxReads) -> None:
        self._reads = reads
        self._session = reads.session

    async def entry(self, user_id: UserId, seq: int) -> MailboxChanged | None:
        rows = await self._session.read(_ENTRY, user_id, seq >> JOURNAL_SHIFT, seq)
        return _entry(rows[0][0]) if rows and rows[0][0] is not None else None

    async def entries(
        self, user_id: UserId, after: int, to_seq: int, limit: int
    ) -> list[MailboxChanged]:
        """Entries with after < seq <= to_seq, in order."""
        found: list[MailboxChanged] = []
        while after < to_seq and len(found) < limit:
            bucket = (after + 1) >> JOURNAL_SHIFT
            number = min(limit - len(found), ENTRIES_MAX)
            rows = await self._session.read(_ENTRIES, user_id, bucket, after, to_seq, number)
            found += [_entry(blob) for (blob,) in rows]
            is_end = len(rows) < number
            after = ((bucket + 1) << JOURNAL_SHIFT) - 1 if is_end else found[-1].seq
        return found

    async def journal(self, user_id: UserId, *, since_seq: int, limit: int) -> list[MailboxChanged]:
        """Raises JournalTruncated: some of the entries are folded."""
        _, state = await self._reads.stored(user_id)
        after, folded_seq = max(since_seq, 0), await self._reads.folded_seq(user_id)
        if after < folded_seq:
            raise JournalTruncated(folded_seq)
        return await self.entries(user_id, after, state.seq, limit)

    async def by_command(self, user_id: UserId, command_id: CommandId) -> MailboxChanged | None:
        """Raises JournalTruncated, with the follow-up: the entry is folded."""
        seq, follow_up = await self.command(user_id, command_id)
        if not seq:
            return None
        folded_seq = await self._reads.folded_seq(user_id)
        if seq <= folded_seq:
            after = None if follow_up is None else _follow_up(follow_up)
            raise JournalTruncated(folded_seq, after)
        return await self.entry(user_id, seq)

    async def command(self, user_id: UserId, command_id: CommandId) -> tuple[int, bytes | None]:
        """The seq of a command's step, 0 if there is none, and its follow-up."""
        rows = await self._session.read(_COMMAND, user_id, command_id)
        return (rows[0][0], rows[0][1]) if rows else (0, None)

    async def command_seqs(
        self, user_id: UserId, command_ids: Iterable[CommandId]
    ) -> dict[CommandId, int]:
        """The seq of each command's step, also if it is folded."""
        return dict(await self._reads.by_keys(_COMMANDS, user_id, command_ids))

    async def vanished(
        self, user_id: UserId, folder_id: FolderId, *, since_seq: int
    ) -> tuple[int, ...]:
        """Uids that ended, from the journal. Raises JournalTruncated."""
        uids: set[int] = set()
        while found := await self.journal(user_id, since_seq=since_seq, limit=ENTRIES_MAX):
            uids.update(
                change.left[folder_id]
                for entry in found
                for change in entry.changes
                if folder_id in change.left
            )
            since_seq = found[-1].seq
        return tuple(sorted(uids))

    async def records(self, user_id: UserId, *, after_id: str, limit: int) -> list[MessageRecord]:
        """Records of the snapshot with a message id above `after_id`, in the order of the ids."""
        check_limit(limit)
        found: list[MessageRecord] = []
        for bucket in ID_BUCKETS:
            if bucket >= after_id[:1] and len(found) < limit:
                rows = await self._session.read(
                    _RECORDS, user_id, bucket, after_id, limit - len(found)
                )
                found += [_record(blob) for (blob,) in rows]
        return found

    async def fold(self, user_id: UserId, *, before_ms: int, to_seq: int, generation: int) -> int:
        """Return the number of folded entries. Raises JournalDamaged: nothing was written."""
        folded = await self._reads.snapshot(user_id)
        try:
            entries = await self.entries(user_id, folded.seq, to_seq, FOLD_MAX)
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
        await self._session.write(stamped(records, seq=seq, generation=generation))
        row = put(SNAPSHOT, user_id, seq, encode(after))
        await self._session.write(stamped([row], seq=seq, generation=generation))
        stamp = stamp_of(seq, generation)
        buckets = range((from_seq + 1) >> JOURNAL_SHIFT, (seq >> JOURNAL_SHIFT) + 1)
        forget: list[tuple[str, tuple[Any, ...]]] = [
            (_FORGET, (stamp, user_id, bucket, seq)) for bucket in buckets
        ]
        await self._session.write(forget)


def _due(entries: Iterable[MailboxChanged], before_ms: int) -> Iterator[MailboxChanged]:
    """The entries to fold: the first that may be folded, up to CHANGES_MAX changes."""
    changes_left = CHANGES_MAX
    for entry in entries:
        if entry.at_ms >= before_ms or changes_left <= 0:
            return
        changes_left -= len(entry.changes)
        yield entry
