"""Lists of messages: a folder, all mail. Read from the mail store, never the index."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import msgspec
from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.problems import not_found
from api.rest.conditional_requests import with_mailbox_etag
from api.rest.parameters import (
    FILTERS,
    bad_cursor,
    bad_position,
    cursor_of,
    filter_of,
    folder_id_of,
    limit_of,
    position_of,
    query,
    uid_of,
)
from api.rest.responses import MessageSummary, json_response, message_summary, summary_fields
from api.route import AuthenticatedRoute
from mail.errors import Refused
from mail.mailbox.folders import exists
from schemas.ids import FolderId
from schemas.mailbox import FolderCounts, MailboxState, Message, Page

PageT = TypeVar("PageT")
_LISTED = (*FILTERS, "limit", "cursor", "position")


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of messages. `position` and `total` are null unless asked for by position."""

    messages: list[MessageSummary]
    position: int | None
    total: int | None
    next_cursor: str | None
    previous_cursor: str | None
    state: str


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
    await read_state(call, folder_id)
    return await _list(call, folder_id)


async def list_folder_by_uid(call: AuthenticatedRequest) -> web.StreamResponse:
    """Messages of a folder in order of arrival in it, after the uid `after_uid`."""
    folder_id = folder_id_of(call.request)
    values = query(call.request, "after_uid", "limit")
    after_uid, limit = uid_of(values), limit_of(values, call.context.config)
    state = await read_state(call, folder_id)
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


async def _list(call: AuthenticatedRequest, folder_id: FolderId | None) -> web.StreamResponse:
    values, store = query(call.request, *_LISTED), call.context.ports.store
    conditions, state = filter_of(values), await call.first_state()
    page = await read_page(
        call,
        values,
        partial(store.page, call.user_id, folder_id, conditions=conditions, state=state),
        partial(store.page_at, call.user_id, folder_id, conditions=conditions, state=state),
    )
    return _page_response(call, page)


async def read_page(
    call: AuthenticatedRequest,
    values: dict[str, str],
    by_cursor: Callable[..., Awaitable[PageT]],
    by_position: Callable[..., Awaitable[PageT]],
) -> PageT:
    """The page of a list that the query's `cursor` or `position` asks for.

    Raises Problem 400: the cursor is of another list, or the position is too far.
    """
    config = call.context.config
    limit, position = limit_of(values, config), position_of(values)
    cursor = cursor_of(values, config)
    try:
        if position is None:
            return await by_cursor(limit=limit, cursor=cursor)
        return await by_position(limit=limit, position=position)
    except Refused as error:
        raise (bad_cursor() if position is None else bad_position()) from error


async def read_state(call: AuthenticatedRequest, folder_id: FolderId) -> MailboxState:
    """The state of the caller's mailbox. Raises Problem 404: it has no folder `folder_id`."""
    state = await call.first_state()
    if not exists(state, folder_id):
        raise not_found()
    return state


def _page_response(call: AuthenticatedRequest, page: Page) -> web.Response:
    return json_response(
        MessagePage(
            messages=[message_summary(row) for row in page.messages],
            position=page.position,
            total=page.total,
            next_cursor=page.next_cursor,
            previous_cursor=page.previous_cursor,
            state=call.context.config.state(page.seq),
        )
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/messages",
        name="messages",
        summary="List all mail except junk and trash, newest first; stable while mail arrives.",
        handler=with_mailbox_etag(list_messages),
        query=_LISTED,
        response=MessagePage,
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/folders/{id}/messages",
        name="folder_messages",
        summary="List a folder, newest first; stable while mail arrives.",
        handler=with_mailbox_etag(list_folder),
        query=_LISTED,
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
)
