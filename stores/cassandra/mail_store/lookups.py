"""Messages by uid, id, thread, draft or mail; compact views of a folder; sums over a domain."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

from mail.pagination import NEWEST, ListPosition
from schemas.cql.mail_store import (
    BUCKET_SHIFT,
    DOMAIN_BUCKETS,
    DOMAIN_USAGE,
    DRAFT,
    ID_BUCKETS,
    UID,
)
from schemas.folder_slots import FolderSlots, Slot, slots_of
from schemas.ids import DomainId, DraftId, FolderId, MailId, MessageId, ThreadId, UserId
from schemas.mailbox import FolderCounts, Message, Usage
from stores.cassandra.mail_store.list_scan import ListScan
from stores.cassandra.mail_store.lists import BY_UID, KEYWORD, ListHead, members
from stores.cassandra.mail_store.mailbox_reads import MailboxReads

_UIDS = UID.select("message_id", "AND uid > ? AND uid < ? LIMIT ?")
_SLOTS = UID.select(
    "uid, message_id, changed_seq, flags, size_bytes, received_at_ms", "AND uid < ?"
)
_DRAFT = DRAFT.select("message_id", "LIMIT 1")
_BY_MAILS = "SELECT user_id, message_id FROM message_by_mail WHERE mail_id IN ?"
_USAGE = DOMAIN_USAGE.select("SUM(size_bytes), SUM(messages)")


async def by_uid(
    reads: MailboxReads, user_id: UserId, folder_id: FolderId, after_uid: int, limit: int
) -> list[Message]:
    """Messages of a folder with uid > after_uid and below next_uid of the state, by uid."""
    _, state = await reads.stored(user_id)
    name = BY_UID + folder_id
    head = (await reads.heads(user_id)).get(name, ListHead())
    next_uid = state.folders.get(folder_id, FolderCounts(folder_id)).next_uid
    ids: list[MessageId] = []
    for bucket in head.buckets:
        if bucket >= after_uid >> BUCKET_SHIFT and len(ids) < limit:
            key = (user_id, name, head.era, bucket, after_uid, next_uid, limit - len(ids))
            ids += [id_ for (id_,) in await reads.session.read(_UIDS, *key)]
    rows = await reads.rows(user_id, ids)
    return [rows[id_] for id_ in ids if id_ in rows]


async def slots(
    reads: MailboxReads, user_id: UserId, folder_id: FolderId, *, since_seq: int
) -> FolderSlots:
    """The messages of the folder that changed after `since_seq`, by uid."""
    _, state = await reads.stored(user_id)
    name = BY_UID + folder_id
    head = (await reads.heads(user_id)).get(name, ListHead())
    next_uid = state.folders.get(folder_id, FolderCounts(folder_id)).next_uid
    found: list[Slot] = []
    for bucket in head.buckets:
        rows = await reads.session.read(_SLOTS, user_id, name, head.era, bucket, next_uid)
        found += [row for row in rows if row[2] > since_seq]
    return slots_of(found)


async def by_id(reads: MailboxReads, user_id: UserId, after_id: str, limit: int) -> list[Message]:
    """Messages that are not destroyed with an id above `after_id`, by id."""
    found: list[Message] = []
    while len(found) < limit and (rows := await rows_after(reads, user_id, after_id, limit)):
        found += [row for row in rows if not row.destroyed]
        after_id = rows[-1].message_id
    return found[:limit]


async def rows_after(
    reads: MailboxReads, user_id: UserId, after_id: str, limit: int
) -> list[Message]:
    """Rows that can be read with an id above `after_id`, by id."""
    found: list[Message] = []
    for bucket in ID_BUCKETS:
        after = after_id
        while bucket >= after[:1] and len(found) < limit:
            ids = await reads.ids_after(user_id, bucket, after, limit)
            if not ids:
                break
            rows = await reads.readable(user_id, ids)
            found += [row for id_ in ids if (row := rows.get(id_)) is not None]
            after = ids[-1]
    return found[:limit]


async def members_after(
    reads: MailboxReads, user_id: UserId, thread_id: ThreadId, after: ListPosition, limit: int
) -> list[Message]:
    """The messages of a thread after a position, in the order of their arrival."""
    thread = (await reads.threads(user_id, [thread_id])).get(thread_id)
    if thread is None:
        return []
    head = ListHead(buckets=thread.buckets, rows=1)
    lists = [(members(thread_id, folder_id), head) for folder_id in thread.folder_ids]
    scan = ListScan(reads.session, user_id, lists, "bucket", (after, NEWEST))
    ids: list[MessageId] = []
    async for rows in scan.windows(limit, is_newer=True):
        ids = list(dict.fromkeys([*ids, *(row[1] for row in rows)]))
        if len(ids) >= limit:
            break
    found = await reads.rows(user_id, ids[:limit])
    return [found[id_] for id_ in ids[:limit] if id_ in found]


async def by_draft(reads: MailboxReads, user_id: UserId, draft_id: DraftId) -> Message | None:
    if not draft_id:
        return None
    rows = await reads.session.read(_DRAFT, user_id, draft_id)
    return (await reads.rows(user_id, [rows[0][0]])).get(rows[0][0]) if rows else None


async def by_mails(reads: MailboxReads, mail_ids: Sequence[MailId]) -> list[Message]:
    by_user: dict[UserId, list[MessageId]] = defaultdict(list)
    for user_id, message_id in await reads.session.read_by_keys(_BY_MAILS, keys=mail_ids):
        by_user[user_id].append(message_id)
    parts = await asyncio.gather(*(reads.rows(*each) for each in by_user.items()))
    return [row for part in parts for row in part.values()]


def keywords(heads: Mapping[str, ListHead]) -> tuple[str, ...]:
    """The keywords whose list has rows."""
    used = (name for name, head in heads.items() if name.startswith(KEYWORD) and head.rows)
    return tuple(sorted(name.removeprefix(KEYWORD) for name in used))


async def domain_usage(reads: MailboxReads, domain_id: DomainId) -> Usage:
    """Of all its users together: one sum for each bucket."""
    found = await asyncio.gather(
        *(reads.session.read(_USAGE, domain_id, bucket) for bucket in range(DOMAIN_BUCKETS))
    )
    sums = [rows[0] for rows in found if rows]
    return Usage(sum(size or 0 for size, _ in sums), sum(number or 0 for _, number in sums))
