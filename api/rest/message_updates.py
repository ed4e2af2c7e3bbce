"""PATCH and DELETE /v1/messages/{id}: change or delete one message, optionally with If-Match."""

from typing import Annotated, Any

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, UnsetType

from api.context import AuthenticatedRequest
from api.problems import bad_request
from api.rest.conditional_requests import message_etag, required_seq
from api.rest.mailbox_commands import (
    ACCEPTED,
    BODY_PROBLEMS,
    COMMAND_PROBLEMS,
    accepted,
    command_fields,
    execute,
)
from api.rest.parameters import FolderIdValue, query, read_body
from api.rest.reading.message import read_message
from api.rest.responses import MessageSummary, json_response, message_summary
from api.route import AuthenticatedRoute
from mail.mailbox.keywords import KEYWORD_MAX_CHARS, KEYWORDS_MAX, normal_keywords
from mail.mailbox.message_rules import PLACES_MAX, is_discarded
from schemas.events.mailbox_commands import (
    ChangeMessages,
    DestroyMessages,
    MessageCommand,
    TrashMessages,
)
from schemas.mailbox import FLAGGED, SEEN

FolderIds = Annotated[list[FolderIdValue], msgspec.Meta(min_length=1, max_length=PLACES_MAX)]
KeywordName = Annotated[str, msgspec.Meta(min_length=1, max_length=KEYWORD_MAX_CHARS)]
KeywordNames = Annotated[
    dict[KeywordName, bool], msgspec.Meta(min_length=1, max_length=KEYWORDS_MAX)
]


class MessagePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of keywords and folders; at least one field is required.

    `keywords` sets (true) or removes (false) the keywords that it names and leaves the others.
    `unread` and `flagged` set or remove the keywords `$seen` and `$flagged` (RFC 8621 §4.1.1).
    `folder_ids` replaces all folders and excludes `add_folder_ids` and `remove_folder_ids`.
    """

    unread: bool | UnsetType = UNSET
    flagged: bool | UnsetType = UNSET
    keywords: KeywordNames | UnsetType = UNSET
    folder_ids: FolderIds | UnsetType = UNSET
    add_folder_ids: FolderIds | UnsetType = UNSET
    remove_folder_ids: FolderIds | UnsetType = UNSET


async def patch_message(call: AuthenticatedRequest) -> web.StreamResponse:
    """200 with the message after the change; 202 if the change was not seen in time."""
    query(call.request)
    change = change_fields(await read_body(call.request, MessagePatch))
    row = await read_message(call)
    command = ChangeMessages(
        **command_fields(call),
        **change,
        message_ids=(row.message_id,),
        unchanged_since_seq=required_seq(call, row),
    )
    return await _execute(call, command)


async def delete_message(call: AuthenticatedRequest) -> web.StreamResponse:
    """200 with the message, now in the trash; 204 if it was in trash or junk and is destroyed.

    The command names the action, move or destroy: a late or repeated run has the same meaning.
    """
    query(call.request)
    row = await read_message(call)
    if_changed_seq = required_seq(call, row)
    fields = {**command_fields(call), "message_ids": (row.message_id,)}
    if is_discarded(row):
        return await _execute(call, DestroyMessages(**fields, unchanged_since_seq=row.changed_seq))
    return await _execute(call, TrashMessages(**fields, unchanged_since_seq=if_changed_seq))


async def _execute(call: AuthenticatedRequest, command: MessageCommand) -> web.StreamResponse:
    event = await execute(call, command)
    (message_id,) = command.message_ids
    if event is None:
        return accepted(f"/v1/messages/{message_id}")
    row = await call.context.ports.store.message(call.user_id, message_id)
    if row is None or not row.shown_places:
        return web.Response(status=204)
    return json_response(message_summary(row), headers={hdrs.ETAG: message_etag(call, row)})


def change_fields(patch: MessagePatch) -> dict[str, Any]:
    """Fields of ChangeMessages. Raises Problem 400: no change, or a contradiction."""
    keywords = _keywords(patch)
    optional_folders = {
        "set_folder_ids": patch.folder_ids,
        "add_folder_ids": patch.add_folder_ids,
        "remove_folder_ids": patch.remove_folder_ids,
    }
    folders = {name: tuple(ids) for name, ids in optional_folders.items() if ids is not UNSET}
    if not keywords and not folders:
        raise bad_request("nothing_to_change", "Give at least one change.", "$")
    if "set_folder_ids" in folders and len(folders) > 1:
        detail = "Either replace folders, or add and remove folders."
        raise bad_request("contradiction", detail, "$.folder_ids")
    return {
        "add_keywords": tuple(name for name, is_set in keywords.items() if is_set),
        "remove_keywords": tuple(name for name, is_set in keywords.items() if not is_set),
        **folders,
    }


def _keywords(patch: MessagePatch) -> dict[str, bool]:
    """Keywords to set (True) or to remove (False), from all fields that express keywords."""
    changes: list[tuple[str, bool]] = []
    if patch.unread is not UNSET:
        changes.append((SEEN, not patch.unread))
    if patch.flagged is not UNSET:
        changes.append((FLAGGED, patch.flagged))
    for name, is_set in (patch.keywords or {}).items():
        (keyword,) = normal_keywords([name]) or ("",)
        if not keyword:
            raise bad_request("bad_keyword", "Not a keyword (RFC 8621 §4.1.1).", "$.keywords")
        changes.append((keyword, is_set))
    keywords = dict(changes)
    if len(keywords) < len(changes):
        raise bad_request("contradiction", "A keyword is named twice.", "$.keywords")
    return keywords


ROUTES = (
    AuthenticatedRoute(
        method="PATCH",
        path="/v1/messages/{id}",
        name="patch_message",
        summary="Change keywords and folders; 200 when counts, lists and push show the change.",
        handler=patch_message,
        body=MessagePatch,
        response=MessageSummary,
        also=(ACCEPTED, (204, None)),
        problems=(*COMMAND_PROBLEMS, *BODY_PROBLEMS),
        conditions=(hdrs.IF_MATCH,),
    ),
    AuthenticatedRoute(
        method="DELETE",
        path="/v1/messages/{id}",
        name="delete_message",
        summary="Move to the trash; destroy (204) if in trash or junk already. Send If-Match.",
        handler=delete_message,
        response=MessageSummary,
        also=(ACCEPTED, (204, None)),
        problems=COMMAND_PROBLEMS,
        conditions=(hdrs.IF_MATCH,),
    ),
)
