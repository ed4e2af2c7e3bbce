"""One commit in the making: messages and folders change one by one, counts follow."""

from collections.abc import Iterable, Mapping

import msgspec

from mail.mailbox.journal_replay import state_after
from mail.mailbox.list_filters import is_unread
from mail.ports import Commit
from schemas.events.mailbox_commands import BulkFolderCommand, Command, Deliver
from schemas.events.mailbox_events import (
    Delivered,
    FolderChange,
    MailboxChanged,
    MessageChange,
    Position,
)
from schemas.mail import HeaderSummary
from schemas.mailbox import FolderCounts, MailboxState, Message, Usage

CHANGES_MAX = 500  # of messages in one commit
CHANGES_MAX_BYTES = 1024 * 1024  # about; an event has room for twice as much
_CHANGE_BYTES = 250  # ids and names of fields


class CommitBuilder:
    """Nothing is written before `commit`; what changes nothing leaves the draft empty."""

    def __init__(self, state: MailboxState, command: Command, position: Position) -> None:
        self._state = state
        self._command = command
        self._position = position
        self._folders: dict[str, FolderCounts] = {}
        self._usage = state.usage
        self._rows: list[Message] = []
        self._changes: list[MessageChange] = []
        self._folder_changes: list[FolderChange] = []
        self._size_bytes = 0
        self.seq = state.seq + 1

    @property
    def size(self) -> int:
        """Messages that change."""
        return len(self._changes)

    @property
    def is_empty(self) -> bool:
        return not self._changes and not self._folder_changes

    @property
    def is_full(self) -> bool:
        """No room for another change of ordinary size."""
        return len(self._changes) >= CHANGES_MAX or self._size_bytes >= CHANGES_MAX_BYTES

    def create(self, command: Deliver, row: Message, folder_id: str) -> None:
        """`row` is without places yet."""
        after = msgspec.structs.replace(row, places=self._placed({}, (folder_id,)))
        self._add(None, after, "created", _delivered(command))

    def put(
        self,
        before: Message,
        *,
        folder_ids: Iterable[str] | None = None,
        keywords: tuple[str, ...] | None = None,
    ) -> None:
        """Folders and sorted keywords of a message become these; None leaves what is."""
        wanted = before.places if folder_ids is None else dict.fromkeys(folder_ids)
        keywords = before.keywords if keywords is None else keywords
        if wanted.keys() == before.places.keys() and keywords == before.keywords:
            return
        places = self._placed(before.places, wanted)
        after = msgspec.structs.replace(
            before, places=places, keywords=keywords, changed_seq=self.seq
        )
        self._add(before, after, "updated", None)

    def destroy(self, before: Message) -> None:
        """For good: a tombstone stays, without what the mail's header and text said."""
        after = msgspec.structs.replace(
            before,
            places={},
            keywords=(),
            changed_seq=self.seq,
            head=HeaderSummary(),
            hops=(),
            destroyed=True,
        )
        self._add(before, after, "destroyed", None)

    def tell(self, change: FolderChange) -> None:
        """A folder of the owner's making changes."""
        self._folder_changes.append(change)
        self._folders[change.id] = self._counts(change.id)

    def commit(
        self,
        *,
        not_found: tuple[str, ...] = (),
        threads: Mapping[bytes, str] | None = None,
        origin_id: str = "",
        follow_up: BulkFolderCommand | None = None,
    ) -> Commit:
        entry = MailboxChanged(
            user_id=self._command.user_id,
            domain_id=self._command.domain_id,
            seq=self.seq,
            command_id=self._command.command_id,
            position=self._position,
            changes=tuple(self._changes),
            folder_changes=tuple(self._folder_changes),
            folders=tuple(self._folders.values()),
            usage=self._usage,
            at_ms=self._command.at_ms,
            not_found=not_found,
            origin_id=origin_id,
            follow_up=follow_up,
        )
        after = state_after(self._state, entry, self._usage)
        return Commit(
            entry=entry, messages=tuple(self._rows), state=after, threads=dict(threads or {})
        )

    def _placed(self, before: Mapping[str, int], wanted: Iterable[str]) -> dict[str, int]:
        """Uids stay where a message stays (RFC 9051 §2.3.1.1); elsewhere it gets the next."""
        return {id_: before.get(id_) or self._counts(id_).next_uid for id_ in wanted}

    def _add(
        self, before: Message | None, after: Message, change: str, delivered: Delivered | None
    ) -> None:
        self._rows.append(after)
        self._changes.append(
            MessageChange(
                change=change,
                message_id=after.message_id,
                places=after.places,
                keywords=after.keywords,
                thread_id=after.thread_id,
                delivered=delivered,
            )
        )
        self._size_bytes += _CHANGE_BYTES + sum(map(len, (*after.places, *after.keywords)))
        self._recount(before, after)

    def _recount(self, before: Message | None, after: Message) -> None:
        if before is not None:
            unread = int(is_unread(before))
            for id_ in before.places:
                self._move(id_, total=-1, unread=-unread)
        for id_, uid in after.places.items():
            self._move(id_, total=1, unread=int(is_unread(after)), uid=uid)
        alive = int(not after.destroyed) - int(before is not None)
        self._usage = Usage(
            self._usage.size_bytes + alive * after.content.size_bytes,
            self._usage.messages + alive,
        )

    def _move(self, folder_id: str, *, total: int, unread: int, uid: int = 0) -> None:
        before = self._counts(folder_id)
        self._folders[folder_id] = FolderCounts(
            folder_id,
            before.total + total,
            before.unread + unread,
            max(before.next_uid, uid + 1),
        )

    def _counts(self, folder_id: str) -> FolderCounts:
        found = self._folders.get(folder_id) or self._state.folders.get(folder_id)
        return found or FolderCounts(folder_id)


def _delivered(command: Deliver) -> Delivered:
    return Delivered(
        mail_id=command.mail_id,
        content=command.content,
        received_at_ms=command.received_at_ms,
        verdict=command.verdict,
        hops=command.hops,
    )
