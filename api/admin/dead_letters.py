"""/v1/admin/dead-letters: events that could not be handled, kept unchanged.

The value of an event is not shown: it may have the octets of a mail.
"""

from typing import Annotated

import msgspec
from aiohttp import web

from api.admin.acts import acting, admin_ports
from api.admin.quarantine import BODY_PROBLEMS
from api.admin.route import PREFIX, OperatorRoute
from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request
from api.rest.parameters import ADDRESS_MAX_CHARS, limit_of, moment_of, query, read_body
from api.rest.responses import json_response
from operations.dead_letters import (
    CauseCount,
    DeadLetterFilter,
    DeadLetterResult,
    LetterRow,
    letter_row,
)

FILTERS = ("stage", "cause", "after")
IDS_MAX = 500
LetterId = Annotated[str, msgspec.Meta(min_length=3, max_length=32)]
LetterIds = Annotated[list[LetterId], msgspec.Meta(max_length=IDS_MAX)]
Condition = Annotated[str, msgspec.Meta(max_length=ADDRESS_MAX_CHARS)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=ADDRESS_MAX_CHARS)]


class DeadLetterList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first, in any state."""

    letters: list[LetterRow]


class DeadLetterCauses(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters that wait, the most frequent cause first."""

    causes: list[CauseCount]


class RedriveRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either `ids`, or all that wait with this stage or a cause that has this text.

    `force`: also those redriven or discarded before. The command of a mailbox owner is redriven
    only by its id.
    """

    ids: LetterIds = []
    stage: Condition = ""
    cause: Condition = ""
    force: bool = False
    dry_run: bool = False


class DiscardRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`reason` is kept with the dead letters."""

    ids: Annotated[list[LetterId], msgspec.Meta(min_length=1, max_length=IDS_MAX)]
    reason: Reason
    dry_run: bool = False


class ParkRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`position`: TOPIC@PARTITION-OFFSET of an event that its stage has not handled yet."""

    position: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    dry_run: bool = False


class DeadLetterResults(msgspec.Struct, frozen=True, kw_only=True):
    results: list[DeadLetterResult]


class ParkResult(msgspec.Struct, frozen=True, kw_only=True):
    """`parked` false: as soon as its stage reads the event, or a dry run."""

    parked: bool


async def list_letters(call: AuthenticatedRequest) -> web.StreamResponse:
    values = query(call.request, *FILTERS, "limit")
    limit = limit_of(values, call.context.config)
    records = await admin_ports(call).letters.newest(limit, _conditions(values))
    return json_response(DeadLetterList(letters=[letter_row(record) for record in records]))


async def list_causes(call: AuthenticatedRequest) -> web.StreamResponse:
    conditions = _conditions(query(call.request, *FILTERS))
    causes = await admin_ports(call).letters.count_by_cause(conditions)
    return json_response(DeadLetterCauses(causes=causes))


async def get_letter(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    record = await admin_ports(call).letters.get(call.request.match_info["id"])
    return json_response(letter_row(record))


async def redrive(call: AuthenticatedRequest) -> web.StreamResponse:
    """Publish dead letters again to their topics of origin, with the same ids; safe to repeat."""
    query(call.request)
    body = await read_body(call.request, RedriveRequest)
    if bool(body.ids) == bool(body.stage or body.cause):
        raise Problem(400, "bad_selection", "Name ids, or a stage or a cause.")
    conditions = DeadLetterFilter(stage=body.stage, cause=body.cause)
    notes = (
        body.stage and f"stage={body.stage}",
        body.cause and f"cause={body.cause}",
        "force" if body.force else "",
        "dry run" if body.dry_run else "",
    )
    detail = " ".join(filter(None, notes))
    async with acting(call, "dead-letters.redrive", ",".join(body.ids), detail):
        results = await admin_ports(call).letters.redrive(
            body.ids or None, conditions=conditions, dry_run=body.dry_run, force=body.force
        )
    return json_response(DeadLetterResults(results=results))


async def discard(call: AuthenticatedRequest) -> web.StreamResponse:
    """Give dead letters up: they wait no longer, and stay in the log."""
    query(call.request)
    body = await read_body(call.request, DiscardRequest)
    if not (reason := body.reason.strip()):
        raise bad_request("bad_reason", "Say why.", "$.reason")
    detail = f"{reason}{' (dry run)' if body.dry_run else ''}"
    async with acting(call, "dead-letters.discard", ",".join(body.ids), detail):
        results = await admin_ports(call).letters.discard(body.ids, reason, dry_run=body.dry_run)
    return json_response(DeadLetterResults(results=results))


async def park(call: AuthenticatedRequest) -> web.StreamResponse:
    """Set aside one event, unchanged, that its stage cannot handle."""
    query(call.request)
    body = await read_body(call.request, ParkRequest)
    detail = "dry run" if body.dry_run else ""
    async with acting(call, "dead-letters.park", body.position, detail):
        parked = await admin_ports(call).letters.park(body.position, dry_run=body.dry_run)
    return json_response(ParkResult(parked=parked))


def _conditions(values: dict[str, str]) -> DeadLetterFilter:
    for name in FILTERS:
        if len(values.get(name, "")) > ADDRESS_MAX_CHARS:
            raise bad_request(f"bad_{name}", f"Up to {ADDRESS_MAX_CHARS}.", f"query:{name}")
    since_ms = moment_of(values, "after")
    return DeadLetterFilter(
        cause=values.get("cause", ""), stage=values.get("stage", ""), since_ms=since_ms or 0
    )


ROUTES = (
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/dead-letters",
        name="admin_dead_letters",
        summary="List dead letters, newest first.",
        handler=list_letters,
        query=(*FILTERS, "limit"),
        response=DeadLetterList,
    ),
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/dead-letters/causes",
        name="admin_dead_letter_causes",
        summary="Count dead letters that wait, by stage and cause.",
        handler=list_causes,
        query=FILTERS,
        response=DeadLetterCauses,
    ),
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/dead-letters/{{id}}",
        name="admin_dead_letter",
        summary="Get one dead letter, without the content of its event.",
        handler=get_letter,
        response=LetterRow,
        problems=(404,),
    ),
    *(
        OperatorRoute(
            method="POST",
            path=f"{PREFIX}/dead-letters/{name}",
            name=f"admin_{name}_dead_letters",
            summary=summary,
            handler=handler,
            body=body,
            response=response,
            problems=(404, *BODY_PROBLEMS),
        )
        for name, summary, handler, body, response in (
            ("redrive", "Publish dead letters again.", redrive, RedriveRequest, DeadLetterResults),
            ("discard", "Give dead letters up.", discard, DiscardRequest, DeadLetterResults),
            ("park", "Set aside an event that cannot be handled.", park, ParkRequest, ParkResult),
        )
    ),
)
