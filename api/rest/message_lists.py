"""Lists of messages: a folder, all mail, a thread. Read from the mail store, never the index."""

import msgspec
from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.problems import not_found
from api.rest.conditional_requests import with_mailbox_etag
from api.rest.parameters import (
    FILTERS,
    bad_cursor,
    cursor_of,
    filter_of,
    folder_id_of,
    id_of,
    limit_of,
    query,
    uid_of,
)
from api.rest.responses import MessageSummary, json_response, message_summary, summary_fields
from api.route import AuthenticatedRoute
from mail.errors import Refused
from mail.mailbox.folders import exists
from schemas.ids import FolderId, ThreadId
from schemas.mailbox import FolderCounts, MailboxState, Message, Page


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    messages: list[MessageSummary]
    next_cursor: str | None


class UidMessage(MessageSummary, frozen=True, kw_only=True):
    uid: int  # in the listed folder


class UidPage(msgspec.Struct, frozen=True, kw_only=True):
    """A folder by uid (RFC 9051 §2.3.1.1). A changed `uidvalidity` invalidates all cached uids.

    A folder gets another `uidvalidity` when it is renamed or moved; a restore changes all of them.
    """

    uidvalidity: int
    next_uid: int
    messages: list[UidMessage]


async def list_messages(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of all mail except junk and trash, newest first."""
    return await _list(call, None)


async def list_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of a folder, newest first."""
    folder_id = folder_id_of(call.request)
    await _read_state(call, folder_id)
    return await _list(call, folder_id)


async def list_folder_by_uid(call: AuthenticatedRequest) -> web.StreamResponse:
    """Messages of a folder in order of arrival in it, after the uid `after_uid`."""
    folder_id = folder_id_of(call.request)
    values = query(call.request, "after_uid", "limit")
    after_uid, limit = uid_of(values), limit_of(values, call.context.config)
    state = await _read_state(call, folder_id)
    rows = await _shown_by_uid(call, folder_id, after_uid=after_uid, limit=limit)
    counts = state.folders.get(folder_id) or FolderCounts(folder_id)
    return json_response(
        UidPage(
            uidvalidity=max(counts.uidvalidity, call.context.config.epoch),
            next_uid=counts.next_uid,
            messages=[UidMessage(**summary_fields(row), uid=row.places[folder_id]) for row in rows],
        )
    )


async def _shown_by_uid(
    call: AuthenticatedRequest, folder_id: FolderId, *, after_uid: int, limit: int
) -> list[Message]:
    """The next messages that are not marked as deleted: at least one unless the folder ends."""
    shown: list[Message] = []
    rows: list[Message] | None = None
    while not shown and rows != []:
        rows = await call.context.ports.store.by_uid(
            call.user_id, folder_id, after_uid=after_uid, limit=limit
        )
        shown = [row for row in rows if folder_id in row.shown_places]
        after_uid = rows[-1].places[folder_id] if rows else after_uid
    return shown


async def list_thread(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of a thread, oldest first, from all folders."""
    values = query(call.request, "limit", "cursor")
    thread_id = ThreadId(id_of(call.request))
    limit, cursor = limit_of(values, call.context.config), cursor_of(values, call.context.config)
    try:
        page = await call.context.ports.store.thread(
            call.user_id, thread_id, limit=limit, cursor=cursor
        )
    except Refused as error:
        raise bad_cursor() from error
    if not page.messages and cursor is None:
        raise not_found()
    return _page_response(page)


async def _list(call: AuthenticatedRequest, folder_id: FolderId | None) -> web.StreamResponse:
    values = query(call.request, *FILTERS, "limit", "cursor")
    try:
        page = await call.context.ports.store.page(
            call.user_id,
            folder_id,
            wanted=filter_of(values),
            limit=limit_of(values, call.context.config),
            cursor=cursor_of(values, call.context.config),
        )
    except Refused as error:
        raise bad_cursor() from error
    return _page_response(page)


async def _read_state(call: AuthenticatedRequest, folder_id: FolderId) -> MailboxState:
    """The state of the caller's mailbox. Raises Problem 404: it has no folder `folder_id`."""
    state = await call.context.ports.store.state(call.user_id)
    if not exists(state, folder_id):
        raise not_found()
    return state


def _page_response(page: Page) -> web.Response:
    summaries = [message_summary(row) for row in page.messages]
    return json_response(MessagePage(messages=summaries, next_cursor=page.next_cursor))


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/messages",
        name="messages",
        summary="List all mail except junk and trash, newest first; stable while mail arrives.",
        handler=with_mailbox_etag(list_messages),
        query=(*FILTERS, "limit", "cursor"),
        response=MessagePage,
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/folders/{id}/messages",
        name="folder_messages",
        summary="List a folder, newest first; stable while mail arrives.",
        handler=with_mailbox_etag(list_folder),
        query=(*FILTERS, "limit", "cursor"),
        response=MessagePage,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/folders/{id}/uids",
        name="folder_uids",
        summary="List a folder in order of arrival, from the uid after `after_uid`.",
        handler=with_mailbox_etag(list_folder_by_uid),
        query=("after_uid", "limit"),
        response=UidPage,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/threads/{id}",
        name="thread",
        summary="List a thread, oldest first, from all folders.",
        handler=with_mailbox_etag(list_thread),
        query=("limit", "cursor"),
        response=MessagePage,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
)
