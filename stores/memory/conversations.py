"""Lists of conversations of MemoryMailStore, computed from all message rows at each call."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mail.mailbox.conversations import (
    MESSAGE_IDS_MAX,
    RECENT_MAX,
    ConversationSums,
    flags_of,
    keywords_of,
    lists_of,
    sent_beside,
)
from mail.pagination import ListPosition, ListStart, cursors_of, place_of
from schemas.conversations import Conversation, ConversationFilter, ConversationPage, ThreadCounts
from schemas.ids import FolderId, ThreadId
from schemas.mailbox import SENT, Message, is_unread


@dataclass(slots=True)
class MemoryThread:
    """A thread in one list; its messages are newest first."""

    rows: list[Message]
    sums: ConversationSums
    every: list[Message]  # of the thread, in any folder


def position_of(thread: MemoryThread) -> ListPosition:
    return place_of(thread.rows[0])


def counts(shown: Iterable[Message]) -> dict[FolderId, ThreadCounts]:
    """The counts of each list; `shown` are the messages that any list shows."""
    lists: dict[FolderId, dict[ThreadId, bool]] = defaultdict(dict)
    for row in shown:
        for list_id in lists_of(row.shown_places):
            known = lists[list_id].get(row.thread_id, False)
            lists[list_id][row.thread_id] = known or is_unread(row.keywords)
    return {id_: ThreadCounts(len(found), sum(found.values())) for id_, found in lists.items()}


def listed(
    shown: Iterable[Message], list_id: FolderId, conditions: ConversationFilter
) -> list[MemoryThread]:
    """The threads of a list that meet the filter, newest first."""
    threads: dict[ThreadId, list[Message]] = defaultdict(list)
    for row in sorted(shown, key=place_of, reverse=True):
        threads[row.thread_id].append(row)
    found = []
    for every in threads.values():
        rows = [row for row in every if list_id in lists_of(row.shown_places)]
        sums = ConversationSums()
        for row in rows:
            sums.add(flags_of(row), keywords_of(row))
        if rows and sums.meets(conditions):
            found.append(MemoryThread(rows, sums, every))
    return sorted(found, key=position_of, reverse=True)


def of_threads(
    shown: Iterable[Message], thread_ids: Iterable[ThreadId]
) -> dict[ThreadId, dict[FolderId, Conversation]]:
    """The conversations of these threads in each list that shows them."""
    wanted = set(thread_ids)
    lists: dict[ThreadId, dict[FolderId, Conversation]] = defaultdict(dict)
    rows = [row for row in shown if row.thread_id in wanted]
    for list_id in sorted({id_ for row in rows for id_ in lists_of(row.shown_places)}):
        for thread in listed(rows, list_id, ConversationFilter()):
            lists[thread.rows[0].thread_id][list_id] = _conversation(thread, list_id)
    return dict(lists)


def page(
    threads: list[MemoryThread],
    list_id: FolderId,
    ends: tuple[ListStart, ListPosition | None],
    scope: tuple[str, ...],
) -> ConversationPage:
    """The page of `threads`; `ends` are its start, and where the list goes on."""
    start, end = ends
    positions = list(map(position_of, threads))
    next_cursor, previous_cursor = cursors_of(start, positions, end, *scope)
    return ConversationPage(
        conversations=tuple(_conversation(thread, list_id) for thread in threads),
        next_cursor=next_cursor,
        previous_cursor=previous_cursor,
        seq=0,
    )


def _conversation(thread: MemoryThread, list_id: FolderId) -> Conversation:
    folder_ids = sorted({id_ for row in thread.every for id_ in row.shown_places})
    sent = sent_beside(list_id, folder_ids)
    answers = [row for row in thread.every if sent and SENT in row.shown_places]
    recent = {row.message_id: row for row in thread.rows[:RECENT_MAX] + answers[:RECENT_MAX]}
    sums = thread.sums
    return Conversation(
        thread_id=thread.rows[0].thread_id,
        folder_ids=tuple(folder_ids),
        received_at_ms=position_of(thread)[0],
        total=sums.total,
        unread=sums.unread,
        is_flagged=sums.flagged > 0,
        has_attachments=sums.attachments > 0,
        has_draft=sums.drafts > 0,
        keywords=tuple(sorted(word for word, number in sums.keywords.items() if number)),
        message_ids=tuple(row.message_id for row in thread.rows[:MESSAGE_IDS_MAX]),
        recent=tuple(sorted(recent.values(), key=place_of, reverse=True)),
    )
