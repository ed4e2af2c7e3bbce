"""POST /v1/messages/batch and GET /v1/batches/{id}: one change of all messages that match.

The batch becomes commands of 500 messages each, whose ids derive from the id of the batch; what
became of them is read from the journal. The id of a batch has the number of its messages, and a
check value that makes it an id of its owner only.
Safe to repeat: a repeated request is another batch, of the messages that are not as requested yet.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request, not_found, unavailable
from api.rest.batches.selection import (
    BatchSelection,
    SelectedMessages,
    ZoneName,
    select,
)
from api.rest.mailbox_commands import BODY_PROBLEMS, command_fields, execute_all
from api.rest.message_updates import MessagePatch, change_fields
from api.rest.parameters import query, read_body
from api.rest.responses import json_response
from api.route import AuthenticatedRoute
from edge.fair_turns import QueueFull
from mail.clock import now_ms
from mail.errors import JournalTruncated
from mail.ids import derived_command_id, derived_id, new_id, time_ms
from mail.mailbox.commit_builder import CHANGES_MAX
from mail.query.tree import QUERY_MAX_CHARS
from schemas.events.mailbox_commands import ChangeMessages
from schemas.events.mailbox_events import REFUSED, CommandAnswered, MailboxEvent
from schemas.ids import CommandId, UserId

STALLED_AFTER_MS = 600_000  # without a step
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
_ID = re.compile(rf"({_UUID})-([0-9]{{1,5}})-[0-9a-f]{{8}}")
BatchStatus = Literal["running", "done", "stalled"]
QueryText = Annotated[str, msgspec.Meta(min_length=1, max_length=QUERY_MAX_CHARS)]


class NewBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`change` of all messages of the list `where` or of the search `q`; dates are in zone `tz`."""

    where: BatchSelection | None = None
    q: QueryText | None = None
    tz: ZoneName = "UTC"
    change: MessagePatch


class BatchResource(msgspec.Struct, frozen=True, kw_only=True):
    """How far a batch is.

    `matched`: messages that are to be changed. `conflicts`: they changed after they were found, and
    are left as they are. `refused`: the change is not possible, or the message is gone. `more`,
    of the first response: further messages match; send the request again.
    """

    id: str
    status: BatchStatus
    matched: int
    changed: int
    conflicts: int
    refused: int
    more: bool | UnsetType = UNSET


class _Counts(msgspec.Struct, kw_only=True):
    changed: int = 0
    conflicts: int = 0
    refused: int = 0
    pending: int = 0  # commands

    def add(self, event: MailboxEvent) -> None:
        self.changed += 0 if isinstance(event, CommandAnswered) else len(event.changes)
        self.conflicts += len(event.conflicts)
        self.refused += len(event.refusals) + len(event.not_found)


async def create_batch(call: AuthenticatedRequest) -> web.StreamResponse:
    """200 with the finished batch; 202 if it goes on. Raises Problem 409: the change is refused."""
    query(call.request)
    body = await read_body(call.request, NewBatch)
    if (body.where is None) == (body.q is None):
        raise bad_request("bad_selection", "Give either `where` or `q`.", "$")
    template = ChangeMessages(**command_fields(call), **change_fields(body.change), message_ids=())
    selected = await _selected(call, body, template)
    batch_id = new_id()
    commands = _commands(batch_id, template, selected)
    events = await execute_all(call, commands) if commands else []
    _check_is_possible(events)
    counts = _Counts(pending=sum(event is None for event in events))
    for event in events:
        if event is not None:
            counts.add(event)
    id_ = _full_id(batch_id, call.user_id, len(selected.ids))
    status: BatchStatus = "running" if counts.pending else "done"
    batch = _resource(id_, status, len(selected.ids), counts, more=selected.more)
    location = {"Location": f"/v1/batches/{id_}"}
    return json_response(batch, status=202 if counts.pending else 200, headers=location)


async def get_batch(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    match = _ID.fullmatch(call.request.match_info["id"])
    matched = int(match[2]) if match else 0
    if match is None or match[0] != _full_id(match[1], call.user_id, matched):
        raise not_found()
    counts = await _progress(call, match[1], matched)
    is_old = now_ms() - time_ms(match[1]) > STALLED_AFTER_MS
    status: BatchStatus = "done" if not counts.pending else "stalled" if is_old else "running"
    return json_response(_resource(match[0], status, matched, counts))


def _full_id(batch_id: str, user_id: UserId, matched: int) -> str:
    return f"{batch_id}-{matched}-{derived_id(batch_id, user_id, str(matched))[:8]}"


async def _selected(
    call: AuthenticatedRequest, body: NewBatch, template: ChangeMessages
) -> SelectedMessages:
    """Raises Problem 503: too many batches wait."""
    try:
        async with call.context.batch_turns.turn(call.user_id):
            return await select(call, body.where, body.q or "", body.tz, template)
    except QueueFull:
        raise unavailable(call.context.config.retry_after_s) from None


def _commands(
    batch_id: str, template: ChangeMessages, selected: SelectedMessages
) -> list[ChangeMessages]:
    parts = [
        tuple(selected.ids[at : at + CHANGES_MAX])
        for at in range(0, len(selected.ids), CHANGES_MAX)
    ]
    return [
        msgspec.structs.replace(
            template, command_id=id_, message_ids=ids, unchanged_since_seq=selected.seq
        )
        for id_, ids in zip(_command_ids(batch_id, len(selected.ids)), parts, strict=True)
    ]


def _command_ids(batch_id: str, matched: int) -> list[CommandId]:
    return [
        derived_command_id(batch_id, "batch", str(number))
        for number in range(-(-matched // CHANGES_MAX))
    ]


def _check_is_possible(events: Sequence[MailboxEvent | None]) -> None:
    """Raises Problem 409: the change is refused for every message, such as into a lost folder."""
    for event in events:
        if isinstance(event, CommandAnswered) and event.outcome == REFUSED and not event.refusals:
            raise Problem(409, "refused", event.detail)


async def _progress(call: AuthenticatedRequest, batch_id: str, matched: int) -> _Counts:
    """What the journal has of the commands. A folded step counts as changes of all its messages."""
    counts, store = _Counts(), call.context.ports.store
    ids = _command_ids(batch_id, matched)
    seqs = await store.command_seqs(call.user_id, ids)
    last_done = max((number for number, id_ in enumerate(ids) if id_ in seqs), default=-1)
    counts.pending = len(ids) - 1 - last_done  # commands are carried out in their order
    for number, id_ in enumerate(ids):
        if id_ not in seqs:
            continue
        try:
            entry = await store.by_command(call.user_id, id_)
        except JournalTruncated:
            counts.changed += min(CHANGES_MAX, matched - number * CHANGES_MAX)
        else:
            if entry is not None:
                counts.add(entry)
    return counts


def _resource(
    id_: str,
    status: BatchStatus,
    matched: int,
    counts: _Counts,
    *,
    more: bool | UnsetType = UNSET,
) -> BatchResource:
    return BatchResource(
        id=id_,
        status=status,
        matched=matched,
        changed=counts.changed,
        conflicts=counts.conflicts,
        refused=counts.refused,
        more=more,
    )


ROUTES = (
    AuthenticatedRoute(
        method="POST",
        path="/v1/messages/batch",
        name="create_batch",
        summary="Make the same change to all messages of a list or a search.",
        handler=create_batch,
        body=NewBatch,
        response=BatchResource,
        also=((202, BatchResource),),
        problems=(403, 404, 408, 409, *BODY_PROBLEMS),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/batches/{id}",
        name="batch",
        summary="Get how far a batch is.",
        handler=get_batch,
        response=BatchResource,
        problems=(404,),
    ),
)
