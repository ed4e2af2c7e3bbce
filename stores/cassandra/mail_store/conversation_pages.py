"""Pages of conversations, with the newest messages of each."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from mail.mailbox.conversations import (
    MESSAGE_IDS_MAX,
    RECENT_MAX,
    folders_of_list,
    sent_beside,
)
from mail.pagination import ListStart, PagePart, check_position, conversation_scope, cursors_of
from schemas.conversations import (
    ALL_MAIL,
    Conversation,
    ConversationFilter,
    ConversationPage,
    ThreadCounts,
    ThreadLists,
)
from schemas.ids import FolderId, MessageId, ThreadId, UserId
from schemas.mailbox import Message
from stores.cassandra.mail_store.list_scan import ListScan
from stores.cassandra.mail_store.lists import CONVERSATIONS, ListHead, encode, members
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.pages import FilteredRows, bounds_of
from stores.cassandra.mail_store.threads import StoredThread, ThreadInList, decode_in_list
from stores.cassandra.session import KEYS_MAX, Row

_COLUMNS = "thread_id, sums"
_MEMBERS = (
    "SELECT list, received_at_ms, message_id FROM list_row WHERE user_id = ? AND list IN ?"
    " AND era = 0 AND bucket = ? PER PARTITION LIMIT ?"
)
Positions = list[tuple[int, MessageId]]  # newest first


async def page(reads: MailboxReads, part: PagePart[ConversationFilter]) -> ConversationPage:
    """Return a page. Raises Refused: the position cannot be counted."""
    user_id, list_id = part.user_id, part.folder_id or ALL_MAIL
    state = part.state or (await reads.stored(user_id))[1]
    name = CONVERSATIONS + list_id
    head = (await reads.heads(user_id)).get(name, ListHead())
    scan = ListScan(reads.session, user_id, [(name, head)], _COLUMNS, bounds_of(part.start))
    listed = FilteredRows(
        scan=scan,
        meets=lambda row: decode_in_list(row[3]).sums.meets(part.conditions),
        is_scan=part.is_filtered,
    )
    total, start = None, part.start
    if part.position is None:
        found, end = await listed.page(start, part.limit, part.scan_max)
    else:
        check_position(part.position, head.rows, is_filtered=part.is_filtered)
        known = part.known_total(head.rows, head.unread_rows)
        total = await listed.count() if known is None else known
        found, end = await listed.page_at(part.position, part.limit)
        start = ListStart(found[0][:2] if part.position and found else None)
    scope = conversation_scope(user_id, part.folder_id, part.conditions)
    next_cursor, previous_cursor = cursors_of(start, [row[:2] for row in found], end, *scope)
    return ConversationPage(
        conversations=await _conversations(reads, user_id, list_id, found),
        next_cursor=next_cursor,
        previous_cursor=previous_cursor,
        seq=state.seq,
        position=part.position,
        total=total,
    )


async def thread_lists(
    reads: MailboxReads, user_id: UserId, thread_ids: Sequence[ThreadId]
) -> ThreadLists:
    _, state = await reads.stored(user_id)
    by_list: dict[FolderId, list[Row]] = defaultdict(list)
    for thread_id, thread in (await reads.threads(user_id, thread_ids)).items():
        for list_id, one in sorted(thread.lists.items()):
            by_list[list_id].append((*one.newest[:2], thread_id, encode(one)))
    lists: dict[ThreadId, dict[FolderId, Conversation]] = defaultdict(dict)
    for list_id, rows in sorted(by_list.items()):
        for conversation in await _conversations(reads, user_id, list_id, rows):
            lists[conversation.thread_id][list_id] = conversation
    return ThreadLists(lists=dict(lists), seq=state.seq)


async def thread_counts(reads: MailboxReads, user_id: UserId) -> dict[FolderId, ThreadCounts]:
    heads = await reads.heads(user_id)
    return {
        FolderId(name.removeprefix(CONVERSATIONS)): ThreadCounts(head.rows, head.unread_rows)
        for name, head in heads.items()
        if name.startswith(CONVERSATIONS)
    }


async def _conversations(
    reads: MailboxReads, user_id: UserId, list_id: FolderId, found: Sequence[Row]
) -> tuple[Conversation, ...]:
    """Read the newest messages of the threads; their number is bounded."""
    threads = await reads.threads(user_id, [row[2] for row in found])
    newest = await _newest(reads, user_id, list_id, threads)
    recent: dict[ThreadId, Positions] = {}
    shown: dict[ThreadId, Positions] = {}
    for thread_id, thread in threads.items():
        of_list = folders_of_list(list_id, thread.folder_ids)
        beside = sent_beside(list_id, thread.folder_ids)
        shown[thread_id] = _merged(newest, thread_id, of_list, MESSAGE_IDS_MAX)
        answers = _merged(newest, thread_id, beside, RECENT_MAX)
        recent[thread_id] = sorted({*shown[thread_id][:RECENT_MAX], *answers}, reverse=True)
    rows = await reads.rows(user_id, (id_ for each in recent.values() for _, id_ in each))
    return tuple(
        _conversation(row, threads[row[2]], shown[row[2]], rows, recent[row[2]])
        for row in found
        if row[2] in threads
    )


async def _newest(
    reads: MailboxReads,
    user_id: UserId,
    list_id: FolderId,
    threads: dict[ThreadId, StoredThread],
) -> dict[str, Positions]:
    """The newest members of each thread in each folder that the list needs, by list name."""
    wanted: dict[int, list[str]] = defaultdict(list)  # by bucket
    for thread_id, thread in threads.items():
        folder_ids = (
            *folders_of_list(list_id, thread.folder_ids),
            *sent_beside(list_id, thread.folder_ids),
        )
        for bucket in thread.buckets:
            wanted[bucket] += [members(thread_id, folder_id) for folder_id in folder_ids]
    queries = [
        reads.session.read_at_once(
            _MEMBERS, user_id, names[first : first + KEYS_MAX], bucket, MESSAGE_IDS_MAX
        )
        for bucket, names in wanted.items()
        for first in range(0, len(names), KEYS_MAX)
    ]
    found: dict[str, Positions] = defaultdict(list)
    for rows in await asyncio.gather(*queries):
        for name, at_ms, message_id in rows:
            found[name].append((at_ms, message_id))
    return found


def _merged(
    newest: dict[str, Positions], thread_id: ThreadId, folder_ids: Iterable[FolderId], limit: int
) -> Positions:
    every = {
        one for folder_id in folder_ids for one in newest.get(members(thread_id, folder_id), ())
    }
    return sorted(every, reverse=True)[:limit]


def _conversation(
    row: Row,
    thread: StoredThread,
    shown: Positions,
    rows: dict[MessageId, Message],
    recent: Positions,
) -> Conversation:
    at_ms, message_id, thread_id, blob = row
    one: ThreadInList = decode_in_list(blob)
    return Conversation(
        thread_id=thread_id,
        folder_ids=tuple(thread.folder_ids),
        received_at_ms=at_ms,
        total=one.total,
        unread=one.unread,
        is_flagged=one.flagged > 0,
        has_attachments=one.attachments > 0,
        has_draft=one.drafts > 0,
        keywords=tuple(sorted(one.keywords)),
        message_ids=tuple(id_ for _, id_ in shown) or (message_id,),
        recent=tuple(rows[id_] for _, id_ in recent if id_ in rows),
    )
