"""Counts of a mailbox, taken from the records of its messages one by one."""

from collections.abc import Mapping

from schemas.mailbox import SEEN, FolderCounts, MailboxState, Usage
from schemas.snapshot import MessageRecord


class Recount:
    """Running counts: `move` every record, then read `state`."""

    def __init__(
        self, counts: Mapping[str, FolderCounts] | None = None, usage: Usage | None = None
    ) -> None:
        self.counts = dict(counts or {})  # next_uid is not counted
        self.usage = usage or Usage()

    def move(self, before: MessageRecord | None, after: MessageRecord) -> None:
        """A message's record became `after`; `before` None: it is new."""
        if before is not None:
            self._add(before, -1)
        self._add(after, 1)

    def state(self, told: MailboxState) -> MailboxState:
        """`told` with the counts of the records; uids are as they were told."""
        uids = {id_: one.next_uid for id_, one in told.folders.items()}
        ids = [*uids, *(id_ for id_, one in self.counts.items() if one.total and id_ not in uids)]
        folders = {
            id_: FolderCounts(id_, *self._counted(id_), next_uid=uids.get(id_, 1)) for id_ in ids
        }
        return MailboxState(
            seq=told.seq,
            epoch=told.epoch,
            partition=told.partition,
            offset=told.offset,
            folders=folders,
            own=told.own,
            usage=self.usage,
        )

    def _counted(self, id_: str) -> tuple[int, int]:
        one = self.counts.get(id_) or FolderCounts(id_)
        return one.total, one.unread

    def _add(self, record: MessageRecord, sign: int) -> None:
        if record.destroyed:
            return
        unread = sign * int(SEEN not in record.keywords)
        for id_ in record.places:
            total_before, unread_before = self._counted(id_)
            self.counts[id_] = FolderCounts(id_, total_before + sign, unread_before + unread)
        self.usage = Usage(
            self.usage.size_bytes + sign * record.delivered.content.size_bytes,
            self.usage.messages + sign,
        )
