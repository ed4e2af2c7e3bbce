"""Threads of a mailbox: where each list shows them, and how a step changes that.

A row of `thread` has, for each list, the position of the thread's newest message there and sums
over its messages there; the same is in the lists of conversations. A step adds the differences of
its messages. Only if the newest message has left a list, members are read again: as many as have
left, and one. So the work of a step does not depend on the length of a thread.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from mail.mailbox.conversations import (
    ConversationSums,
    flags_of,
    in_all_mail,
    keywords_of,
    lists_of,
)
from mail.pagination import ListPosition, place_of
from schemas.conversations import ALL_MAIL
from schemas.cql.mail_store import CONVERSATION
from schemas.ids import FolderId, ThreadId
from stores.cassandra.mail_store.lists import (
    CONVERSATIONS,
    ListKey,
    RowChange,
    bucket_of,
    encode,
)

Member = tuple[int, str, int]  # received_at_ms, message_id, bucket
# The newest members of a thread in a folder: thread, folder, buckets, number.
NewestMembers = Callable[[ThreadId, FolderId, tuple[int, ...], int], Awaitable[list[Member]]]


class ThreadInList(msgspec.Struct, frozen=True, array_like=True):
    """A thread in one list: its newest message, and sums over its messages there."""

    newest: Member
    total: int = 0
    unread: int = 0
    flagged: int = 0
    attachments: int = 0
    drafts: int = 0
    keywords: dict[str, int] = {}

    @property
    def sums(self) -> ConversationSums:
        return ConversationSums(
            self.total, self.unread, self.flagged, self.attachments, self.drafts,
            dict(self.keywords),
        )  # fmt: skip


class StoredThread(msgspec.Struct, frozen=True, array_like=True):
    """A thread, by list."""

    lists: dict[FolderId, ThreadInList] = {}
    buckets: tuple[int, ...] = ()  # of its members

    @property
    def folder_ids(self) -> list[FolderId]:
        return sorted(self.lists.keys() - {ALL_MAIL})


decode_thread = msgspec.msgpack.Decoder(StoredThread).decode
decode_in_list = msgspec.msgpack.Decoder(ThreadInList).decode


def in_list(newest: Member, sums: ConversationSums) -> ThreadInList:
    keywords = {word: number for word, number in sorted(sums.keywords.items()) if number}
    return ThreadInList(
        newest, sums.total, sums.unread, sums.flagged, sums.attachments, sums.drafts, keywords
    )


def conversation_rows(thread_id: ThreadId, thread: StoredThread) -> dict[ListKey, tuple[Any, ...]]:
    """The thread's rows in the lists of conversations."""
    return {
        ListKey(CONVERSATION.name, CONVERSATIONS + list_id, one.newest[2], one.newest[:2]): (
            thread_id,
            encode(one),
        )
        for list_id, one in thread.lists.items()
    }


def by_thread(changes: Sequence[RowChange]) -> dict[ThreadId, list[RowChange]]:
    found: dict[ThreadId, list[RowChange]] = defaultdict(list)
    for change in changes:
        found[change[1].thread_id].append(change)
    return found


async def thread_after(
    before: StoredThread, changes: Sequence[RowChange], newest_members: NewestMembers
) -> StoredThread:
    """The thread after a step that changes its messages; `changes` are of this thread alone."""
    thread_id = changes[0][1].thread_id
    sums = {list_id: one.sums for list_id, one in before.lists.items()}
    left: dict[FolderId, set[ListPosition]] = defaultdict(set)
    there: dict[FolderId, list[Member]] = defaultdict(list)  # after the step, of its messages
    for old, new in changes:
        for row, sign in ((old, -1), (new, 1)):
            if row is not None:
                for list_id in lists_of(row.shown_places):
                    of_list = sums.setdefault(list_id, ConversationSums())
                    of_list.add(flags_of(row), keywords_of(row), sign)
        member = (*place_of(new), bucket_of(new.created_seq))
        for folder_id in new.shown_places:
            there[folder_id].append(member)
        for folder_id in (old.shown_places.keys() if old else set()) - new.shown_places.keys():
            left[folder_id].add(member[:2])
    newest: dict[FolderId, Member] = {}
    for folder_id in sums.keys() - {ALL_MAIL}:
        if sums[folder_id].total > 0:
            rest = await _rest(before, thread_id, folder_id, left[folder_id], newest_members)
            newest[folder_id] = max([*rest, *there[folder_id]])
    buckets = {member[2] for members in there.values() for member in members}
    return _thread(newest, sums, buckets | set(before.buckets))


async def _rest(
    before: StoredThread,
    thread_id: ThreadId,
    folder_id: FolderId,
    left: set[ListPosition],
    newest_members: NewestMembers,
) -> list[Member]:
    """The newest members in the folder before the step that are still there."""
    known = before.lists.get(folder_id)
    if known is None:
        return []
    if known.newest[:2] not in left:
        return [known.newest]
    found = await newest_members(thread_id, folder_id, before.buckets, len(left) + 1)
    return [member for member in found if member[:2] not in left]


def _thread(
    newest: dict[FolderId, Member], sums: dict[FolderId, ConversationSums], buckets: set[int]
) -> StoredThread:
    shown = [member for folder_id, member in newest.items() if in_all_mail(folder_id)]
    every = newest | ({ALL_MAIL: max(shown)} if shown else {})
    lists = {list_id: in_list(member, sums[list_id]) for list_id, member in sorted(every.items())}
    return StoredThread(lists, tuple(sorted(buckets)) if lists else ())
