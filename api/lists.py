"""Folders and their messages: rows of the store, never of the index."""

from aiohttp import web

from api.answers import Folders, MessagePage, folder, json_answer, summary
from api.edge import SignedCall
from api.inputs import bad_cursor, cursor_of, limit_of, query, unread_of
from api.problems import not_found
from mail.errors import Refused
from mail.folders import exists
from schemas.mailbox import Filter


async def folders(call: SignedCall) -> web.StreamResponse:
    query(call.request)
    rows = await call.edge.ports.store.folders(call.user_id)
    return json_answer(Folders(folders=[folder(one) for one in rows]))


async def messages(call: SignedCall) -> web.StreamResponse:
    """A page of a folder, newest first."""
    folder_id = call.request.match_info["id"]
    values = query(call.request, "unread", "limit", "cursor")
    wanted = Filter(unread=unread_of(values))
    limit = limit_of(values, call.edge.config)
    cursor = cursor_of(values, call.edge.config)
    store = call.edge.ports.store
    if not exists(await store.load(call.user_id), folder_id):
        raise not_found()
    try:
        page = await store.page(call.user_id, folder_id, wanted=wanted, limit=limit, cursor=cursor)
    except Refused as error:
        raise bad_cursor() from error
    return json_answer(
        MessagePage(messages=[summary(row) for row in page.messages], next_cursor=page.next_cursor)
    )
