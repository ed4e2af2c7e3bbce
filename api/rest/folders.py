"""Folders: read, made, renamed, moved, deleted, emptied, read as a whole."""

from typing import Any

from aiohttp import hdrs, web
from msgspec import UNSET

from api.context import AuthenticatedRequest
from api.problems import bad_request, not_found
from api.rest import responses
from api.rest.mailbox_commands import accepted, carry_out_one, of_caller
from api.rest.parameters import query, read_body
from api.rest.requests import FolderPatch, NewFolder
from api.rest.responses import FolderList, json_answer
from mail.ids import new_id
from schemas.events.mailbox_commands import (
    BulkFolderCommand,
    ChangeFolder,
    CreateFolder,
    DeleteFolder,
    EmptyFolder,
    MarkAllRead,
)
from schemas.mailbox import Folder


async def folders(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    rows = await call.edge.ports.store.folders(call.user_id)
    return json_answer(FolderList(folders=[responses.folder(one) for one in rows]))


async def folder(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    return json_answer(await _folder(call, call.request.match_info["id"]))


async def create_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    """201 with the folder; 202 when it was not seen in time."""
    query(call.request)
    asked = await read_body(call.request, NewFolder)
    order = CreateFolder(
        **of_caller(call), folder_id=new_id(), name=asked.name, parent_id=asked.parent_id or ""
    )
    place = f"/v1/folders/{order.folder_id}"
    if await carry_out_one(call, order) is None:
        return accepted(place)
    made = await _folder(call, order.folder_id)
    return json_answer(made, status=201, headers={hdrs.LOCATION: place})


async def patch_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    asked = await read_body(call.request, FolderPatch)
    change: dict[str, Any] = {}
    if asked.name is not UNSET:
        change["name"] = asked.name
    if asked.parent_id is not UNSET:
        change["parent_id"] = asked.parent_id or ""
    if not change:
        raise bad_request("nothing_to_change", "Give name, parent_id or both.", "$")
    folder_id = call.request.match_info["id"]
    order = ChangeFolder(**of_caller(call), folder_id=folder_id, **change)
    if await carry_out_one(call, order) is None:
        return accepted(f"/v1/folders/{folder_id}")
    return json_answer(await _folder(call, folder_id))


async def delete_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    """204 when all that lay in it has left; 202 while it goes on."""
    is_done = await _whole(call, DeleteFolder)
    return web.Response(status=204) if is_done else accepted("/v1/folders")


async def empty_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    return await _counted(call, EmptyFolder)


async def read_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    return await _counted(call, MarkAllRead)


async def _counted(call: AuthenticatedRequest, kind: type[BulkFolderCommand]) -> web.StreamResponse:
    """200 with the folder when it is done; 202 while it goes on: the folder's counts show how."""
    folder_id = call.request.match_info["id"]
    if not await _whole(call, kind):
        return accepted(f"/v1/folders/{folder_id}")
    return json_answer(await _folder(call, folder_id))


async def _whole(call: AuthenticatedRequest, kind: type[BulkFolderCommand]) -> bool:
    """Whether the order to all of a folder was seen to its end in time. 404.

    The order is bounded by what the folder holds now, however late it is carried out.
    """
    query(call.request)
    counts = (await _read(call, call.request.match_info["id"])).counts
    order = kind(**of_caller(call), folder_id=counts.id, bound_uid=counts.next_uid)
    return await carry_out_one(call, order) is not None


async def _folder(call: AuthenticatedRequest, folder_id: str) -> responses.FolderResource:
    return responses.folder(await _read(call, folder_id))


async def _read(call: AuthenticatedRequest, folder_id: str) -> Folder:
    """The folder as its owner sees it now. 404."""
    rows = await call.edge.ports.store.folders(call.user_id)
    found = next((row for row in rows if row.counts.id == folder_id), None)
    if found is None:
        raise not_found()
    return found
