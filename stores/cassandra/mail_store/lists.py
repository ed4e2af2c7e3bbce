"""Lists of a mailbox: the rows that a message has in them, and one head for each list.

The rows follow from the message row alone. Names of lists: `u:FOLDER`, `r:FOLDER`, `f:FOLDER` are
its unread, read and flagged messages by arrival; `k:KEYWORD` those with a keyword, in any folder;
`i:FOLDER` all of a folder by uid; `t:THREAD:FOLDER` those of a thread that the folder shows;
`c:LIST` the conversations of a folder or of all mail (`c:`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mail.mailbox.list_filters import FLAG_FLAGGED, FLAG_REPEATED, places_of, sender_of
from schemas.cql.mail_store import BUCKET_SHIFT, CONVERSATION, LIST_HEAD, LIST_ROW, UID
from schemas.cql.tables import Table
from schemas.folder_slots import slot_of
from schemas.ids import FolderId, ThreadId, UserId
from schemas.mailbox import SEEN, Message, is_unread
from stores.cassandra.mail_store.stamps import RowWrite, delete, put

UNREAD, READ, FLAGGED, KEYWORD, BY_UID, CONVERSATIONS = "u:", "r:", "f:", "k:", "i:", "c:"
FLAG_UNREAD = 8  # with FLAG_* of mail/mailbox/list_filters.py
RENEW_AFTER_DELETES = 100  # an emptied list with as many deleted rows gets a new era
RowChange = tuple[Message | None, Message]  # before (None: a new message) and after
encode = msgspec.msgpack.Encoder().encode


class ListHead(msgspec.Struct, frozen=True, array_like=True):
    """Where the rows of a list are, and their number."""

    era: int = 0
    buckets: tuple[int, ...] = ()  # with rows, sorted
    rows: int = 0
    deletes: int = 0  # rows that were deleted in this era
    unread_rows: int = 0  # of conversations: those with unread messages
    messages: int = 0  # of conversations: sum over the rows, as `unread_messages`
    unread_messages: int = 0


@dataclass(frozen=True, slots=True)
class ListKey:
    """The primary key of a row, without user and era."""

    table: str
    list: str
    bucket: int
    position: tuple[Any, ...]


def bucket_of(created_seq: int) -> int:
    return created_seq >> BUCKET_SHIFT


def members(thread_id: ThreadId, folder_id: FolderId) -> str:
    """The name of the list of a thread's messages in a folder."""
    return f"t:{thread_id}:{folder_id}"


def rows_of(row: Message | None) -> dict[ListKey, tuple[Any, ...]]:
    """The values of the row's list rows."""
    return dict(_rows_of(row)) if row is not None else {}


def _rows_of(row: Message) -> Iterator[tuple[ListKey, tuple[Any, ...]]]:
    bucket, sender = bucket_of(row.created_seq), sender_of(row)
    at = (row.received_at_ms, row.message_id)
    is_new, folders = is_unread(row.keywords), sorted(row.shown_places)
    unread_flag, every_flag = FLAG_UNREAD * is_new, 0
    for folder_id, flags in places_of(row):
        every_flag = (flags | unread_flag) & ~FLAG_REPEATED
        values: tuple[Any, ...] = (flags | unread_flag, sender, None)
        kinds = (UNREAD if is_new else READ, *((FLAGGED,) if flags & FLAG_FLAGGED else ()))
        for kind in kinds:
            yield ListKey(LIST_ROW.name, kind + folder_id, bucket, at), values
        name = members(row.thread_id, folder_id)
        yield ListKey(LIST_ROW.name, name, bucket, at), (0, "", None)
    for keyword in row.keywords if folders else ():
        if keyword != SEEN:
            values = (every_flag, sender, folders)
            yield ListKey(LIST_ROW.name, KEYWORD + keyword, bucket, at), values
    for folder_id in row.places:
        uid, *slot = slot_of(row, folder_id)
        yield ListKey(UID.name, BY_UID + folder_id, uid >> BUCKET_SHIFT, (uid,)), tuple(slot)


def member_keys(row: Message, folder_ids: Iterable[FolderId]) -> set[ListKey]:
    """The keys that the row has in the lists of its thread in these folders, or would have."""
    bucket, at = bucket_of(row.created_seq), (row.received_at_ms, row.message_id)
    names = (members(row.thread_id, folder_id) for folder_id in folder_ids)
    return {ListKey(LIST_ROW.name, name, bucket, at) for name in names}


@dataclass(slots=True)
class HeadChanges:
    """The heads of a mailbox's lists during a step, and the rows that the step changes."""

    user_id: UserId
    before: dict[str, ListHead]
    after: dict[str, ListHead] = field(default_factory=dict)
    puts: dict[ListKey, tuple[Any, ...]] = field(default_factory=dict)
    deletes: set[ListKey] = field(default_factory=set)

    def head(self, name: str) -> ListHead:
        return self.after.get(name) or self.before.get(name) or ListHead()

    def change(
        self, before: dict[ListKey, tuple[Any, ...]], after: dict[ListKey, tuple[Any, ...]]
    ) -> None:
        """Replace the rows `before` by the rows `after`."""
        for key in before.keys() - after.keys():
            self.deletes.add(key)
            self._count(key, -1)
        for key, values in after.items():
            if key not in before:
                self._count(key, 1)
            if before.get(key) != values:
                self.puts[key] = values

    def add(self, name: str, **counts: int) -> None:
        """Add to the counts of a list."""
        head = self.head(name)
        sums = {field_name: getattr(head, field_name) + n for field_name, n in counts.items()}
        self.after[name] = msgspec.structs.replace(head, **sums)

    def writes(self, seq: int) -> list[RowWrite]:
        """The rows to write; a list that is empty now may get a new era from `seq` on."""
        renewed = {
            name for name, head in self.after.items()
            if not head.rows and head.deletes >= RENEW_AFTER_DELETES
        }  # fmt: skip
        rows = [put(_TABLES[key.table], *self._key(key), *self.puts[key]) for key in self.puts]
        rows += [
            delete(_TABLES[key.table], *self._key(key))
            for key in self.deletes if key.list not in renewed
        ]  # fmt: skip
        for name in renewed:
            rows += [
                delete(table, *key)
                for table, *key in partitions(self.user_id, name, self.head(name))
            ]
            self.after[name] = ListHead(era=seq)
        changed = {name: head for name, head in self.after.items() if head != self.before.get(name)}
        return rows + [
            put(LIST_HEAD, self.user_id, name, encode(head)) for name, head in changed.items()
        ]

    def _count(self, key: ListKey, number: int) -> None:
        if key.list.startswith("t:"):
            return
        head = self.head(key.list)
        self.after[key.list] = msgspec.structs.replace(
            head,
            rows=head.rows + number,
            deletes=head.deletes + (number < 0),
            buckets=tuple(sorted({*head.buckets, key.bucket})),
        )

    def _key(self, key: ListKey) -> tuple[Any, ...]:
        return (self.user_id, key.list, self._era(key.list), key.bucket, *key.position)

    def _era(self, name: str) -> int:
        head = self.before.get(name)
        return head.era if head else 0


_TABLES = {table.name: table for table in (LIST_ROW, UID, CONVERSATION)}


def table_of(name: str) -> Table:
    """The table of a list."""
    return {BY_UID: UID, CONVERSATIONS: CONVERSATION}.get(name[:2], LIST_ROW)


def partitions(user_id: UserId, name: str, head: ListHead) -> Iterable[tuple[Any, ...]]:
    """The partitions of a list: table, then the columns of the partition key."""
    return [(table_of(name), user_id, name, head.era, bucket) for bucket in head.buckets]
