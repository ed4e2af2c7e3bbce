"""Message counts of a mailbox, computed from the records of its messages."""

from collections.abc import Mapping

from schemas.ids import FolderId
from schemas.mailbox import FolderCounts, MailboxState, Usage, is_unread
from schemas.snapshot import MessageRecord


class Recount:
    """Running counts: `move` each record, then read `state`."""

    def __init__(
        self, counts: Mapping[FolderId, FolderCounts] | None = None, usage: Usage | None = None
    ) -> None:
        self.counts = dict(counts or {})  # without next_uid
        self.usage = usage or Usage()

    def move(self, before: MessageRecord | None, after: MessageRecord) -> None:
        """Count the change of a message's record; `before` is None for a new message."""
        if before is not None:
            self._add(before, -1)
        self._add(after, 1)

    def state(self, journalled: MailboxState) -> MailboxState:
        """The journal's state with the counts of the records; each next_uid is the journal's."""
        uids = {id_: counts.next_uid for id_, counts in journalled.folders.items()}
        ids = [
            *uids,
            *(id_ for id_, counts in self.counts.items() if counts.total and id_ not in uids),
        ]
        folders = {
            id_: FolderCounts(id_, *self._total_and_unread(id_), next_uid=uids.get(id_, 1))
            for id_ in ids
        }
        return MailboxState(
            seq=journalled.seq,
            epoch=journalled.epoch,
            partition=journalled.partition,
            offset=journalled.offset,
            folders=folders,
            own=journalled.own,
            usage=self.usage,
        )

    def _total_and_unread(self, id_: FolderId) -> tuple[int, int]:
        counts = self.counts.get(id_) or FolderCounts(id_)
        return counts.total, counts.unread

    def _add(self, record: MessageRecord, sign: int) -> None:
        if record.destroyed:
            return
        unread = sign * int(is_unread(record.keywords))
        for id_ in record.places:
            total_before, unread_before = self._total_and_unread(id_)
            self.counts[id_] = FolderCounts(id_, total_before + sign, unread_before + unread)
        self.usage = Usage(
            self.usage.size_bytes + sign * record.delivered.content.size_bytes,
            self.usage.messages + sign,
        )
