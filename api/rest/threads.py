"""Conversations: lists of a folder and of all mail, and the messages of one thread."""

from functools import partial

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, UnsetType

from api.context import AuthenticatedRequest
from api.problems import bad_request, not_found
from api.rest.conditional_requests import with_mailbox_etag
from api.rest.message_lists import read_page, read_state
from api.rest.parameters import (
    THREAD_FILTERS,
    bad_cursor,
    cursor_of,
    folder_id_of,
    id_of,
    limit_of,
    query,
    thread_filter_of,
)
from api.rest.reading.message import MessageBody, message_body
from api.rest.reading.message_parsing import parse_for_display
from api.rest.responses import (
    MessageSummary,
    Timestamp,
    folder_ids,
    json_response,
    message_summary,
)
from api.route import AuthenticatedRoute
from mail.clock import rfc3339
from mail.errors import Refused
from schemas.conversations import Conversation, ConversationPage
from schemas.ids import FolderId, MessageId, ThreadId
from schemas.mail import EmailAddress
from schemas.mailbox import Message, is_unread

PEOPLE_MAX = 5  # of one conversation in a list
BODIES_MAX = 10
BODIES_MAX_BYTES = 2 * 1024 * 1024  # of JSON
_LISTED = (*THREAD_FILTERS, "limit", "cursor", "position")
_NO_AUTHOR = EmailAddress(name="", address="")


class PersonResource(msgspec.Struct, frozen=True, kw_only=True):
    """An author; `unread`: of an unread message."""

    name: str
    address: str
    unread: bool


class ThreadSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in a list; its values are those of its messages in the list.

    `folder_ids` are those of the whole thread. `people` are the authors of the newest messages, and
    of the owner's answers in `sent`. `message_ids` are the newest messages, at most 100. Of two
    values of the same conversation, the value with the greater `changed_seq` is newer.
    """

    id: ThreadId
    folder_ids: list[FolderId]
    subject: str
    preview: str
    count: int
    unread: int
    flagged: bool
    has_attachments: bool
    has_draft: bool
    keywords: list[str]
    people: list[PersonResource]
    received_at: Timestamp
    latest_id: MessageId
    message_ids: list[MessageId]
    changed_seq: int


class ThreadList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of conversations. `position` and `total` are null unless asked for by position."""

    threads: list[ThreadSummary]
    position: int | None
    total: int | None
    next_cursor: str | None
    previous_cursor: str | None
    state: str


class ThreadPage(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of a thread, oldest first.

    `bodies` are those of the unread messages and of the newest message of the page, by id; null:
    beyond 10 bodies or 2 MiB.
    """

    messages: list[MessageSummary]
    next_cursor: str | None
    bodies: dict[MessageId, MessageBody | None] | UnsetType = UNSET


async def list_threads(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of the conversations of all mail except junk and trash."""
    return await _list(call, None)


async def list_folder_threads(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of the conversations of a folder."""
    folder_id = folder_id_of(call.request)
    await read_state(call, folder_id)
    return await _list(call, folder_id)


async def get_thread(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of a thread, oldest first, from all folders."""
    values = query(call.request, "limit", "cursor", "bodies")
    thread_id = ThreadId(id_of(call.request))
    limit, cursor = limit_of(values, call.context.config), cursor_of(values, call.context.config)
    if values.get("bodies") not in {None, "open"}:
        raise bad_request("bad_bodies", "Only open.", "query:bodies")
    try:
        page = await call.context.ports.store.thread(
            call.user_id, thread_id, limit=limit, cursor=cursor
        )
    except Refused as error:
        raise bad_cursor() from error
    if not page.messages and cursor is None:
        raise not_found()
    messages = [message_summary(row) for row in page.messages]
    bodies = await _bodies(call, page.messages) if "bodies" in values else UNSET
    return json_response(ThreadPage(messages=messages, next_cursor=page.next_cursor, bodies=bodies))


async def _list(call: AuthenticatedRequest, folder_id: FolderId | None) -> web.StreamResponse:
    values, store = query(call.request, *_LISTED), call.context.ports.store
    conditions, state = thread_filter_of(values), await call.first_state()
    page = await read_page(
        call,
        values,
        partial(store.conversations, call.user_id, folder_id, conditions=conditions, state=state),
        partial(
            store.conversations_at, call.user_id, folder_id, conditions=conditions, state=state
        ),
    )
    return json_response(thread_list(call, page))


def thread_list(call: AuthenticatedRequest, page: ConversationPage) -> ThreadList:
    return ThreadList(
        threads=[thread_summary(row, page.seq) for row in page.conversations],
        position=page.position,
        total=page.total,
        next_cursor=page.next_cursor,
        previous_cursor=page.previous_cursor,
        state=call.context.config.state(page.seq),
    )


def thread_summary(row: Conversation, seq: int) -> ThreadSummary:
    """The row of a conversation; `seq` is that of the mailbox when it was read."""
    newest = next((one.head for one in row.recent if one.message_id == row.latest_id), None)
    return ThreadSummary(
        id=row.thread_id,
        folder_ids=folder_ids(dict.fromkeys(row.folder_ids, 0)),
        subject=newest.subject if newest else "",
        preview=newest.preview if newest else "",
        count=row.total,
        unread=row.unread,
        flagged=row.is_flagged,
        has_attachments=row.has_attachments,
        has_draft=row.has_draft,
        keywords=list(row.keywords),
        people=_people(row.recent),
        received_at=rfc3339(row.received_at_ms),
        latest_id=row.latest_id,
        message_ids=list(row.message_ids),
        changed_seq=seq,
    )


def _people(rows: tuple[Message, ...]) -> list[PersonResource]:
    """The authors of the messages, each address once, in the order of the messages."""
    people: dict[str, PersonResource] = {}
    for row in rows:
        author = row.head.sender or _NO_AUTHOR
        key = author.address.casefold()
        known = people.get(key)
        people[key] = PersonResource(
            name=known.name or author.name if known else author.name,
            address=known.address if known else author.address,
            unread=is_unread(row.keywords) or (known is not None and known.unread),
        )
    return list(people.values())[:PEOPLE_MAX]


async def _bodies(
    call: AuthenticatedRequest, rows: tuple[Message, ...]
) -> dict[MessageId, MessageBody | None]:
    """The bodies of the unread messages and of the last one, newest first, while they fit."""
    is_open = [row for row in rows if is_unread(row.keywords) or row is rows[-1]]
    bodies: dict[MessageId, MessageBody | None] = {}
    left_bytes = BODIES_MAX_BYTES
    for number, row in enumerate(reversed(is_open)):
        bodies[row.message_id] = None
        if number < BODIES_MAX and left_bytes > 0:
            parsed = await parse_for_display(call.context, row)
            body = message_body(row, parsed, call.context.config.text_max_chars)
            left_bytes -= len(msgspec.json.encode(body))
            if left_bytes >= 0:
                bodies[row.message_id] = body
    return bodies


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/threads",
        name="threads",
        summary="List the conversations of all mail except junk and trash, newest first.",
        handler=with_mailbox_etag(list_threads),
        query=_LISTED,
        response=ThreadList,
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/folders/{id}/threads",
        name="folder_threads",
        summary="List the conversations of a folder, newest first.",
        handler=with_mailbox_etag(list_folder_threads),
        query=_LISTED,
        response=ThreadList,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/threads/{id}",
        name="thread",
        summary="List a thread, oldest first, from all folders; with bodies if asked for.",
        handler=with_mailbox_etag(get_thread),
        query=("limit", "cursor", "bodies"),
        response=ThreadPage,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
)
