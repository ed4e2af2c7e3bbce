"""PATCH /v1/messages and POST /v1/messages/delete: one change of many messages.

The response has the outcome of each message. Commands have at most CHANGES_MAX messages each.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.problems import bad_request
from api.rest.mailbox_commands import BODY_PROBLEMS, command_fields, execute_all
from api.rest.message_updates import MessagePatch, change_fields
from api.rest.parameters import ResourceId, is_id, query, read_body
from api.rest.responses import json_response
from api.route import AuthenticatedRoute
from mail.mailbox.commit_builder import CHANGES_MAX
from mail.mailbox.message_rules import is_discarded
from schemas.events.mailbox_commands import (
    ChangeMessages,
    DestroyMessages,
    MessageCommand,
    TrashMessages,
)
from schemas.events.mailbox_events import (
    CONFLICT,
    NOT_FOUND,
    REFUSED,
    UNCHANGED,
    CommandAnswered,
    MailboxEvent,
)
from schemas.ids import MessageId

PENDING = "accepted"  # the outcome of a command whose event was not seen in time
IDS_MAX = 2 * CHANGES_MAX
ResourceIds = Annotated[list[ResourceId], msgspec.Meta(min_length=1, max_length=IDS_MAX)]


class MessagesPatch(MessagePatch, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same change for each message of `ids`."""

    ids: ResourceIds


class MessageIds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ids: ResourceIds


class UpdateResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome for one message.

    `updated`, `trashed`, `destroyed`: done. `unchanged`: the message had the requested state
    already. `not_found`. `conflict`: the message changed meanwhile and was left as it is.
    `refused`: `detail` says why. `accepted`: durable, but not seen to be applied in time.
    """

    id: str
    outcome: str
    detail: str = ""


class UpdateResults(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for each id, in the order of the request."""

    outcomes: list[UpdateResult]


async def patch_messages(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    body = await read_body(call.request, MessagesPatch)
    change = change_fields(body)
    results = _initial_results(call, body.ids)
    commands = [
        ChangeMessages(**command_fields(call), **change, message_ids=ids)
        for ids in _batches(_well_formed(results))
    ]
    return _response(results | await _execute(call, commands))


async def delete_messages(call: AuthenticatedRequest) -> web.StreamResponse:
    """Delete each message as DELETE /v1/messages/{id} would."""
    query(call.request)
    body = await read_body(call.request, MessageIds)
    results = _initial_results(call, body.ids)
    commands = await _delete_commands(call, _well_formed(results))
    return _response(results | await _execute(call, commands))


async def _delete_commands(
    call: AuthenticatedRequest, ids: Sequence[MessageId]
) -> list[MessageCommand]:
    """Destroy the messages that are in trash or junk, move the others to the trash.

    The mailbox's seq is read before the messages: no message read after it can be older.
    """
    store = call.context.ports.store
    seq = (await store.state(call.user_id)).seq
    rows = await store.messages(call.user_id, ids)
    discarded = [id_ for id_ in ids if id_ in rows and is_discarded(rows[id_])]
    others = [id_ for id_ in ids if id_ not in set(discarded)]
    destroy = (
        DestroyMessages(**command_fields(call), message_ids=batch, unchanged_since_seq=seq)
        for batch in _batches(discarded)
    )
    trash = (TrashMessages(**command_fields(call), message_ids=batch) for batch in _batches(others))
    return [*destroy, *trash]


def _initial_results(
    call: AuthenticatedRequest, ids: Sequence[str]
) -> dict[MessageId, UpdateResult]:
    """Each distinct id as not found. Raises Problem 400: the request has If-Match."""
    if hdrs.IF_MATCH in call.request.headers:
        detail = "If-Match applies to a change of one message only."
        raise bad_request("if_match_of_many", detail, "header:If-Match")
    return {MessageId(id_): UpdateResult(id=id_, outcome=NOT_FOUND) for id_ in ids}


def _well_formed(ids: Iterable[MessageId]) -> list[MessageId]:
    return [id_ for id_ in ids if is_id(id_)]


def _batches(ids: Sequence[MessageId]) -> list[tuple[MessageId, ...]]:
    """Split `ids` into batches of one command each."""
    return [tuple(ids[at : at + CHANGES_MAX]) for at in range(0, len(ids), CHANGES_MAX)]


def _response(results: dict[MessageId, UpdateResult]) -> web.Response:
    """202 if any message is pending, else 200."""
    is_pending = any(result.outcome == PENDING for result in results.values())
    body = UpdateResults(outcomes=list(results.values()))
    return json_response(body, status=202 if is_pending else 200)


async def _execute(
    call: AuthenticatedRequest, commands: Sequence[MessageCommand]
) -> dict[MessageId, UpdateResult]:
    events = await execute_all(call, commands) if commands else []
    pairs = zip(commands, events, strict=True)
    return {MessageId(result.id): result for pair in pairs for result in _results(*pair)}


def _results(command: MessageCommand, event: MailboxEvent | None) -> Iterator[UpdateResult]:
    """The outcome for each message of `command`, in its order; `event` None: not seen in time."""
    named = _named_results(command, event) if event else {}
    default, detail = UNCHANGED, ""
    if event is None:
        default = PENDING
    elif isinstance(event, CommandAnswered) and not named:
        default, detail = event.outcome, event.detail
    for id_ in command.message_ids:
        yield named.get(id_) or UpdateResult(id=id_, outcome=default, detail=detail)


def _named_results(command: MessageCommand, event: MailboxEvent) -> dict[MessageId, UpdateResult]:
    """The outcomes of the messages that the event names."""
    updated = "trashed" if isinstance(command, TrashMessages) else "updated"
    changes = () if isinstance(event, CommandAnswered) else event.changes
    outcomes: dict[MessageId, str] = {
        change.message_id: updated if change.change == "updated" else change.change
        for change in changes
    }
    outcomes |= dict.fromkeys(event.not_found, NOT_FOUND) | dict.fromkeys(event.conflicts, CONFLICT)
    refused = {
        id_: UpdateResult(id=id_, outcome=REFUSED, detail=detail)
        for id_, detail in event.refusals.items()
    }
    return {id_: UpdateResult(id=id_, outcome=text) for id_, text in outcomes.items()} | refused


ROUTES = (
    AuthenticatedRoute(
        method="PATCH",
        path="/v1/messages",
        name="patch_messages",
        summary="Make the same change to up to 1,000 messages; the response has each outcome.",
        handler=patch_messages,
        body=MessagesPatch,
        response=UpdateResults,
        also=((202, UpdateResults),),
        problems=(403, *BODY_PROBLEMS),
    ),
    AuthenticatedRoute(
        method="POST",
        path="/v1/messages/delete",
        name="delete_messages",
        summary="Move up to 1,000 messages to the trash; destroy those in trash or junk.",
        handler=delete_messages,
        body=MessageIds,
        response=UpdateResults,
        also=((202, UpdateResults),),
        problems=(403, *BODY_PROBLEMS),
    ),
)
