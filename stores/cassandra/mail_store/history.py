"""Reads of the journal of a mailbox, of its commands and of the records of its snapshot."""

from collections.abc import Iterable

import msgspec

from mail.errors import JournalTruncated
from mail.pagination import check_limit
from schemas.cql.mail_store import (
    COMMAND,
    ID_BUCKETS,
    JOURNAL,
    JOURNAL_SHIFT,
    SNAPSHOT_RECORD,
)
from schemas.events.mailbox_commands import BulkFolderCommand
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import CommandId, FolderId, UserId
from schemas.snapshot import MessageRecord
from stores.cassandra.mail_store.mailbox_reads import MailboxReads

ENTRIES_MAX = 200  # in one query
_ENTRIES = JOURNAL.select("entry", "AND seq > ? AND seq <= ? LIMIT ?")
_ENTRY = JOURNAL.select("entry", "AND seq = ?")
_COMMAND = COMMAND.select("seq, follow_up")
_COMMANDS = "SELECT command_id, seq FROM command WHERE user_id = ? AND command_id IN ?"
_RECORDS = SNAPSHOT_RECORD.select("record", "AND message_id > ? LIMIT ?")
_entry = msgspec.msgpack.Decoder(MailboxChanged).decode
_follow_up = msgspec.msgpack.Decoder(BulkFolderCommand).decode
_record = msgspec.msgpack.Decoder(MessageRecord).decode


class History:
    """Reads of any mailbox; they repair nothing."""

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
        return dict(await self._session.read_by_keys(_COMMANDS, user_id, keys=command_ids))

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
