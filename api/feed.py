"""The change feed: what happened since a seq, and where to start when that is too long ago.

A client keeps one number, the last `seq` that it has seen through. Changes carry what is true after
them, so that seeing one again, or one whose effect a list already shows, does no harm.
"""

from aiohttp import web

from api.answers import folder, json_answer
from api.edge import SignedCall
from api.feed_answers import Changes, SnapshotPage, changes_of, record
from api.inputs import bad_cursor, cursor_of, limit_of, query, since_of
from api.problems import feed_gone
from mail.cursors import decode_cursor, encode_cursor
from mail.errors import FeedGone, Refused
from mail.ports import MailStore
from schemas.events import MailboxChanged

STEPS_AT_ONCE = 32  # of up to 500 messages each: what one read holds in memory


async def steps_since(
    store: MailStore, user_id: str, since_seq: int
) -> tuple[list[MailboxChanged], int]:
    """The next steps after `since_seq`, and the mailbox's last seq. FeedGone.

    A step is told only when everything that it changed can be read. A `since_seq` beyond the last
    seq is of a mailbox that is no more (one restored from a backup), and is as good as gone.
    """
    latest_seq = (await store.load(user_id)).seq
    if since_seq > latest_seq:
        raise FeedGone(latest_seq)
    steps = await store.journal(user_id, since_seq=since_seq, limit=STEPS_AT_ONCE)
    return [step for step in steps if step.seq <= latest_seq], latest_seq


async def changes(call: SignedCall) -> web.StreamResponse:
    """Whole steps until `limit` changes are reached: more than that when the last step has more."""
    values = query(call.request, "since", "limit")
    since, limit = since_of(values), limit_of(values, call.edge.config)
    if since is None:
        since = 0
    try:
        return json_answer(await _changes(call.edge.ports.store, call.user_id, since, limit))
    except FeedGone as gone:
        raise feed_gone() from gone


async def _changes(store: MailStore, user_id: str, since_seq: int, limit: int) -> Changes:
    found, seq = Changes(seq=since_seq, latest_seq=since_seq, more=False, changes=[]), since_seq
    while len(found.changes) < limit:
        steps, found.latest_seq = await steps_since(store, user_id, seq)
        for step in steps:
            found.changes += changes_of(step)
            seq = step.seq
            if len(found.changes) >= limit:
                break
        if not steps:
            break
    found.seq, found.more = seq, seq < found.latest_seq
    return found


async def snapshot(call: SignedCall) -> web.StreamResponse:
    """Every message there is, by id. The first page says from which seq to go on afterwards.

    Pages are of the moment of their reading, later than that seq or equal: the changes that follow
    it, seen through, make the whole equal to the mailbox.
    """
    values = query(call.request, "limit", "cursor")
    limit, cursor = limit_of(values, call.edge.config), cursor_of(values, call.edge.config)
    store, scope = call.edge.ports.store, ("snapshot", call.user_id)
    try:
        seq, after_id = decode_cursor(cursor, *scope) if cursor else (None, "")
    except Refused as error:
        raise bad_cursor() from error
    if seq is None:
        seq = (await store.load(call.user_id)).seq
    rows = await store.by_id(call.user_id, after_id=after_id, limit=limit)
    on = encode_cursor((seq, rows[-1].message_id), *scope) if len(rows) == limit else None
    folders = [] if after_id else [folder(one) for one in await store.folders(call.user_id)]
    return json_answer(
        SnapshotPage(
            seq=seq, folders=folders, messages=[record(row) for row in rows], next_cursor=on
        )
    )
