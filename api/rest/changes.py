"""The change feed: what happened since a seq, and where to start when that is too long ago.

A client keeps one word, the last `state` that it has seen through: the epoch of the service and a
seq. Changes carry what is true after them, so that seeing one again, or one whose effect a list
already shows, does no harm. A restore begins another epoch, since seqs are given again after it.
"""

from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import feed_gone
from api.rest.changes_responses import ChangeResource, ChangesPage, SnapshotPage, changes_of, record
from api.rest.parameters import bad_cursor, cursor_of, limit_of, query, since_of
from api.rest.responses import folder, json_answer
from mail.errors import JournalTruncated, Refused
from mail.pagination import decode_cursor, encode_cursor
from mail.ports import MailStore
from schemas.events.mailbox_events import MailboxChanged

STEPS_AT_ONCE = 32  # of up to 500 messages each: what one read holds in memory


async def steps_since(
    store: MailStore, user_id: str, since_seq: int, *, limit: int = STEPS_AT_ONCE
) -> tuple[list[MailboxChanged], int]:
    """At most `limit` next steps after `since_seq`, and the mailbox's last seq. JournalTruncated.

    A step is told only when everything that it changed can be read. A `since_seq` beyond the last
    seq is of a mailbox that is no more, or of another epoch, and is as good as gone.
    """
    latest_seq = (await store.state(user_id)).seq
    if since_seq > latest_seq:
        raise JournalTruncated(latest_seq)
    steps = await store.journal(user_id, since_seq=since_seq, limit=limit)
    return [step for step in steps if step.seq <= latest_seq], latest_seq


async def changes(call: AuthenticatedRequest) -> web.StreamResponse:
    """Whole steps until `limit` changes are reached: more than that when the last step has more."""
    values = query(call.request, "since", "limit")
    since, limit = since_of(values, call.edge.config), limit_of(values, call.edge.config)
    try:
        return json_answer(await _changes(call, since or 0, limit))
    except JournalTruncated as gone:
        raise feed_gone() from gone


async def _changes(call: AuthenticatedRequest, seq: int, limit: int) -> ChangesPage:
    found: list[ChangeResource] = []
    latest_seq = seq
    while len(found) < limit:
        wanted = min(STEPS_AT_ONCE, limit - len(found))  # most steps have a change
        steps, latest_seq = await steps_since(
            call.edge.ports.store, call.user_id, seq, limit=wanted
        )
        for step in steps:
            found += changes_of(step)
            seq = step.seq
            if len(found) >= limit:
                break
        if not steps:
            break
    state = call.edge.config.state(seq)
    return ChangesPage(
        changes=found, state=state, seq=seq, latest_seq=latest_seq, more=seq < latest_seq
    )


async def snapshot(call: AuthenticatedRequest) -> web.StreamResponse:
    """Every message there is, by id. The first page says from which seq to go on afterwards.

    Pages are of the moment of their reading, later than that seq or equal: the changes that follow
    it, seen through, make the whole equal to the mailbox.
    """
    values = query(call.request, "limit", "cursor")
    store, config = call.edge.ports.store, call.edge.config
    limit, cursor = limit_of(values, config), cursor_of(values, config)
    scope = ("snapshot", call.user_id, str(config.epoch))
    try:
        seq, after_id = decode_cursor(cursor, *scope) if cursor else (None, "")
    except Refused as error:
        raise bad_cursor() from error
    if seq is None:
        seq = (await store.state(call.user_id)).seq
    rows = await store.by_id(call.user_id, after_id=after_id, limit=limit)
    on = encode_cursor((seq, rows[-1].message_id), *scope) if len(rows) == limit else None
    folders = [] if after_id else [folder(one) for one in await store.folders(call.user_id)]
    return json_answer(
        SnapshotPage(
            state=config.state(seq),
            seq=seq,
            folders=folders,
            messages=[record(row) for row in rows],
            next_cursor=on,
        )
    )
