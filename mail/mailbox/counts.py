"""Message counts of a mailbox, computed from the records of its messages."""

from collections.abc import Mapping

import msgspec

from schemas.ids import FolderId
from schemas.mailbox import FolderCounts, MailboxState, Usage, is_unread
from schemas.snapshot import MessageRecord


class Recount:
    """Running counts: `move` each record, then read `state`."""

    def __init__(
        self, counts: Mapping[FolderId, FolderCounts] | None = None, usage: Usage | None = None
    ) -> None:
        self.counts = dict(counts or {})  # only what follows from the messages
        self.usage = usage or Usage()

    def move(self, before: MessageRecord | None, after: MessageRecord) -> None:
        """Count the change of a message's record; `before` is None for a new message."""
        if before is not None:
            self._add(before, -1)
        self._add(after, 1)

    def state(self, journalled: MailboxState) -> MailboxState:
        """The journal's state with the counts of the records.

        What does not follow from the messages is the journal's: next_uid, uidvalidity, modseq.
        """
        known = journalled.folders
        ids = [
            *known,
            *(
                id_
                for id_, counts in self.counts.items()
                if counts.total + counts.deleted and id_ not in known
            ),
        ]
        folders = {id_: self._counts(id_, known.get(id_) or FolderCounts(id_)) for id_ in ids}
        return msgspec.structs.replace(journalled, folders=folders, usage=self.usage)

    def _counts(self, id_: FolderId, journalled: FolderCounts) -> FolderCounts:
        counts = self.counts.get(id_) or FolderCounts(id_)
        return msgspec.structs.replace(
            journalled,
            total=counts.total,
            unread=counts.unread,
            size_bytes=counts.size_bytes,
            deleted=counts.deleted,
        )

    def _add(self, record: MessageRecord, sign: int) -> None:
        if record.destroyed:
            return
        unread, size_bytes = int(is_unread(record.keywords)), record.delivered.content.size_bytes
        for id_ in record.places:
            before = self.counts.get(id_) or FolderCounts(id_)
            deleted = int(id_ in record.deleted_in)
            self.counts[id_] = FolderCounts(
                id_,
                total=before.total + sign * (1 - deleted),
                unread=before.unread + sign * unread * (1 - deleted),
                size_bytes=before.size_bytes + sign * size_bytes,
                deleted=before.deleted + sign * deleted,
            )
        self.usage = Usage(self.usage.size_bytes + sign * size_bytes, self.usage.messages + sign)
