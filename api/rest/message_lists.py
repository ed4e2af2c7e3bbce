"""Lists of messages: rows of the store, never of the index."""

from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import not_found
from api.rest.parameters import (
    FILTERS,
    bad_cursor,
    cursor_of,
    filter_of,
    id_of,
    limit_of,
    query,
    uid_of,
)
from api.rest.responses import MessagePage, UidMessage, UidPage, json_answer, shared_of, summary
from mail.errors import Refused
from mail.mailbox.folders import exists
from schemas.mailbox import FolderCounts, MailboxState, Message, Page


async def messages(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of all mail but junk and trash, newest first."""
    return await _listed(call, None)


async def folder_messages(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of a folder, newest first."""
    folder_id = call.request.match_info["id"]
    await _known(call, folder_id)
    return await _listed(call, folder_id)


async def folder_uids(call: AuthenticatedRequest) -> web.StreamResponse:
    """A folder's messages in the order in which they came into it; go on behind the last uid."""
    folder_id = call.request.match_info["id"]
    values = query(call.request, "after_uid", "limit")
    after_uid, limit = uid_of(values), limit_of(values, call.edge.config)
    state = await _known(call, folder_id)
    rows = await call.edge.ports.store.by_uid(
        call.user_id, folder_id, after_uid=after_uid, limit=limit
    )
    counts = state.folders.get(folder_id) or FolderCounts(folder_id)
    return json_answer(
        UidPage(
            uidvalidity=call.edge.config.epoch,
            next_uid=counts.next_uid,
            messages=[_with_uid(row, folder_id) for row in rows],
        )
    )


async def thread(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of a conversation, oldest first, wherever its messages lie."""
    values = query(call.request, "limit", "cursor")
    thread_id = id_of(call.request)
    limit, cursor = limit_of(values, call.edge.config), cursor_of(values, call.edge.config)
    try:
        page = await call.edge.ports.store.thread(
            call.user_id, thread_id, limit=limit, cursor=cursor
        )
    except Refused as error:
        raise bad_cursor() from error
    if not page.messages and cursor is None:
        raise not_found()
    return _page(page)


async def _listed(call: AuthenticatedRequest, folder_id: str | None) -> web.StreamResponse:
    values = query(call.request, *FILTERS, "limit", "cursor")
    try:
        page = await call.edge.ports.store.page(
            call.user_id,
            folder_id,
            wanted=filter_of(values),
            limit=limit_of(values, call.edge.config),
            cursor=cursor_of(values, call.edge.config),
        )
    except Refused as error:
        raise bad_cursor() from error
    return _page(page)


async def _known(call: AuthenticatedRequest, folder_id: str) -> MailboxState:
    """The mailbox, which has this folder; else 404."""
    state = await call.edge.ports.store.state(call.user_id)
    if not exists(state, folder_id):
        raise not_found()
    return state


def _page(page: Page) -> web.Response:
    return json_answer(
        MessagePage(messages=[summary(row) for row in page.messages], next_cursor=page.next_cursor)
    )


def _with_uid(row: Message, folder_id: str) -> UidMessage:
    return UidMessage(**shared_of(summary(row)), uid=row.places[folder_id])
