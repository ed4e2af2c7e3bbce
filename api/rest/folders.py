"""/v1/folders: list, read, create, rename, move, delete, empty, and mark all as read."""

from typing import Annotated, Any

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, UnsetType

from api.context import AuthenticatedRequest
from api.problems import bad_request, not_found
from api.rest.conditional_requests import with_mailbox_etag
from api.rest.mailbox_commands import (
    ACCEPTED,
    BODY_PROBLEMS,
    COMMAND_PROBLEMS,
    accepted,
    command_fields,
    execute,
)
from api.rest.parameters import FolderIdValue, folder_id_of, query, read_body
from api.rest.responses import json_response
from api.route import AuthenticatedRoute
from mail.ids import new_id
from mail.mailbox.folders import NAME_MAX_CHARS, all_folders
from schemas.conversations import ThreadCounts
from schemas.events.mailbox_commands import (
    BulkFolderCommand,
    ChangeFolder,
    CreateFolder,
    DeleteFolder,
    EmptyFolder,
    MarkAllRead,
)
from schemas.ids import FolderId
from schemas.mailbox import TOP, Folder

FolderName = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX_CHARS)]

SortOrder = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]  # RFC 8621 §2


class NewFolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder to create; `parent_id` null: at the top level."""

    name: FolderName
    parent_id: FolderIdValue | None = None


class FolderPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New values; `parent_id` null: move to the top level. Standard folders keep both."""

    name: FolderName | UnsetType = UNSET
    parent_id: FolderIdValue | UnsetType | None = UNSET
    subscribed: bool | UnsetType = UNSET
    sort_order: SortOrder | UnsetType = UNSET


class FolderResource(msgspec.Struct, frozen=True, kw_only=True):
    """A folder with its counts.

    `role` is the special use of a standard folder (RFC 6154). It is "" for the owner's folders, and
    only these may have a parent.
    """

    id: FolderId
    name: str
    role: str
    parent_id: FolderId | None
    total: int
    unread: int
    threads: int
    unread_threads: int
    size_bytes: int
    subscribed: bool
    sort_order: int


class FolderList(msgspec.Struct, frozen=True, kw_only=True):
    folders: list[FolderResource]


def folder_resource(row: Folder, thread_counts: dict[FolderId, ThreadCounts]) -> FolderResource:
    counts = row.counts
    threads = thread_counts.get(counts.id) or ThreadCounts()
    return FolderResource(
        id=counts.id,
        name=row.name,
        role=row.role,
        parent_id=row.parent_id or None,
        total=counts.total,
        unread=counts.unread,
        threads=threads.threads,
        unread_threads=threads.unread_threads,
        size_bytes=counts.size_bytes,
        subscribed=row.settings.subscribed,
        sort_order=row.settings.sort_order,
    )


async def list_folders(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    return json_response(FolderList(folders=await folder_resources(call)))


async def folder_resources(call: AuthenticatedRequest) -> list[FolderResource]:
    """All folders, in their order."""
    rows = all_folders(await call.first_state())
    threads = await call.context.ports.store.thread_counts(call.user_id)
    return [folder_resource(row, threads) for row in rows]


async def get_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    return await _folder_response(call, folder_id_of(call.request))


async def create_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    """201 with the folder; 202 if it was not seen in time."""
    query(call.request)
    body = await read_body(call.request, NewFolder)
    command = CreateFolder(
        **command_fields(call),
        folder_id=FolderId(new_id()),
        name=body.name,
        parent_id=body.parent_id or TOP,
    )
    location = f"/v1/folders/{command.folder_id}"
    if await execute(call, command) is None:
        return accepted(location)
    folder = folder_resource(await _read_folder(call, command.folder_id), {})
    return json_response(folder, status=201, headers={hdrs.LOCATION: location})


async def patch_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    body = await read_body(call.request, FolderPatch)
    change: dict[str, Any] = {}
    if body.name is not UNSET:
        change["name"] = body.name
    if body.parent_id is not UNSET:
        change["parent_id"] = body.parent_id or TOP
    if body.subscribed is not UNSET:
        change["subscribed"] = body.subscribed
    if body.sort_order is not UNSET:
        change["sort_order"] = body.sort_order
    if not change:
        raise bad_request("nothing_to_change", "Give at least one value.", "$")
    folder_id = folder_id_of(call.request)
    command = ChangeFolder(**command_fields(call), folder_id=folder_id, **change)
    if await execute(call, command) is None:
        return accepted(f"/v1/folders/{folder_id}")
    return await _folder_response(call, folder_id)


async def delete_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    """204 when every message has left the folder; 202 while deletion continues."""
    is_done = await _execute_bulk(call, DeleteFolder)
    return web.Response(status=204) if is_done else accepted("/v1/folders")


async def empty_folder(call: AuthenticatedRequest) -> web.StreamResponse:
    return await _bulk_response(call, EmptyFolder)


async def mark_folder_read(call: AuthenticatedRequest) -> web.StreamResponse:
    return await _bulk_response(call, MarkAllRead)


async def _bulk_response(
    call: AuthenticatedRequest, kind: type[BulkFolderCommand]
) -> web.StreamResponse:
    """200 with the folder when the command is complete; 202 while its counts show the progress."""
    folder_id = folder_id_of(call.request)
    if not await _execute_bulk(call, kind):
        return accepted(f"/v1/folders/{folder_id}")
    return await _folder_response(call, folder_id)


async def _execute_bulk(call: AuthenticatedRequest, kind: type[BulkFolderCommand]) -> bool:
    """Run a command on all messages of a folder; False if it did not complete in time.

    `bound_uid` limits the command to messages that are in the folder now, however late it runs.
    Raises Problem 404.
    """
    query(call.request)
    counts = (await _read_folder(call, folder_id_of(call.request))).counts
    command = kind(**command_fields(call), folder_id=counts.id, bound_uid=counts.next_uid)
    return await execute(call, command) is not None


async def _folder_response(call: AuthenticatedRequest, folder_id: FolderId) -> web.Response:
    row = await _read_folder(call, folder_id)
    threads = await call.context.ports.store.thread_counts(call.user_id)
    return json_response(folder_resource(row, threads))


async def _read_folder(call: AuthenticatedRequest, folder_id: FolderId) -> Folder:
    """Raises Problem 404: the owner has no such folder."""
    rows = await call.context.ports.store.folders(call.user_id)
    folder = next((row for row in rows if row.counts.id == folder_id), None)
    if folder is None:
        raise not_found()
    return folder


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/folders",
        name="folders",
        summary="List folders with their counts.",
        handler=with_mailbox_etag(list_folders),
        response=FolderList,
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="POST",
        path="/v1/folders",
        name="create_folder",
        summary="Create a folder, at the top level or in another folder.",
        handler=create_folder,
        body=NewFolder,
        response=FolderResource,
        status=201,
        also=(ACCEPTED,),
        problems=(*COMMAND_PROBLEMS, *BODY_PROBLEMS),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/folders/{id}",
        name="folder",
        summary="Get one folder with its counts.",
        handler=with_mailbox_etag(get_folder),
        response=FolderResource,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="PATCH",
        path="/v1/folders/{id}",
        name="patch_folder",
        summary="Rename or move a folder, or change its settings.",
        handler=patch_folder,
        body=FolderPatch,
        response=FolderResource,
        also=(ACCEPTED,),
        problems=(*COMMAND_PROBLEMS, *BODY_PROBLEMS),
    ),
    AuthenticatedRoute(
        method="DELETE",
        path="/v1/folders/{id}",
        name="delete_folder",
        summary="Delete a folder; messages that are in no other folder move to the trash.",
        handler=delete_folder,
        status=204,
        also=(ACCEPTED,),
        problems=COMMAND_PROBLEMS,
    ),
    AuthenticatedRoute(
        method="POST",
        path="/v1/folders/{id}/empty",
        name="empty_folder",
        summary="Move all messages of a folder to the trash; destroy those of junk and trash.",
        handler=empty_folder,
        response=FolderResource,
        also=(ACCEPTED,),
        problems=(403, 404),
    ),
    AuthenticatedRoute(
        method="POST",
        path="/v1/folders/{id}/read",
        name="read_folder",
        summary="Mark all messages of a folder as read; after 202 its counts show the progress.",
        handler=mark_folder_read,
        response=FolderResource,
        also=(ACCEPTED,),
        problems=(403, 404),
    ),
)
