"""GET /v1/admin/trace and /v1/admin/rejected: where a mail is, and mail that did not arrive."""

import re

import msgspec
from aiohttp import web

from api.admin.acts import admin_ports
from api.admin.route import PREFIX, OperatorRoute
from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request
from api.rest.parameters import ADDRESS_MAX_CHARS, limit_of, moment_of, query
from api.rest.responses import Timestamp, json_response, optional_timestamp
from mail.clock import DAY_MS, now_ms, rfc3339
from operations.rejected import RejectedRecipient, rejected
from operations.timeline import timed
from operations.trace import DeliveryEnd, TraceResult

_MINUTES = re.compile("[0-9]{1,5}")
WITHIN_MAX_MIN = 60 * 24 * 31
NAME_MAX_CHARS = 1000  # of a Message-ID


class TraceHop(msgspec.Struct, frozen=True, kw_only=True):
    """The work of one stage, and how long the mail waited before it."""

    stage: str
    started_at: Timestamp
    waited_ms: int
    took_ms: float
    verdict: str
    attempt: int
    worker: str


class TraceEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A place where the mail is, or was seen last; `where` is a sentence for people."""

    state: str
    where: str
    user_id: str
    address: str
    deleted: bool
    outcome: str | None  # of the scanners
    spam_score: float | None
    hops: list[TraceHop]


class TracedMail(msgspec.Struct, frozen=True, kw_only=True):
    """`states`: of its deliveries, each state once."""

    mail_id: str
    accepted_at: Timestamp | None
    states: list[str]


class TraceResource(msgspec.Struct, frozen=True, kw_only=True):
    """The mails that match, newest first; `ends` if only one matches."""

    mails: list[TracedMail]
    ends: list[TraceEnd]


class RejectedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient that a mail of a user did not reach."""

    submission_id: str
    sender: str
    address: str
    code: str
    detail: str
    server: str
    failed_at: Timestamp


class RejectedList(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first."""

    recipients: list[RejectedRow]


async def get_trace(call: AuthenticatedRequest) -> web.StreamResponse:
    """Trace by `name`, or by `recipient` about a time. Raises Problem 400, 404."""
    values = query(call.request, "name", "recipient", "around", "within_min")
    name, recipient = values.get("name", ""), values.get("recipient", "")
    if bool(name) == bool(recipient):
        raise Problem(400, "bad_selection", "Either name or recipient.")
    if len(name) > NAME_MAX_CHARS or len(recipient) > ADDRESS_MAX_CHARS:
        raise Problem(400, "bad_selection", "The name is too long.")
    around_ms = moment_of(values, "around")
    span = {
        "around_ms": now_ms() if around_ms is None else around_ms,
        "within_ms": _within_min(values) * 60_000,
    }
    tracer = admin_ports(call).tracer
    found = await (tracer.by_recipient(recipient, **span) if recipient else tracer.by_name(name))
    return json_response(_resource(found))


def _within_min(values: dict[str, str]) -> int:
    text = values.get("within_min", "60")
    if not _MINUTES.fullmatch(text) or not 1 <= int(text) <= WITHIN_MAX_MIN:
        detail = f"A number from 1 to {WITHIN_MAX_MIN}."
        raise bad_request("bad_within_min", detail, "query:within_min")
    return int(text)


def _resource(found: TraceResult) -> TraceResource:
    mails = [
        TracedMail(
            mail_id=each.mail_id,
            accepted_at=optional_timestamp(each.accepted_at_ms),
            states=list(each.states),
        )
        for each in found.candidates
    ]
    return TraceResource(mails=mails, ends=[_end(each) for each in found.ends])


def _end(end: DeliveryEnd) -> TraceEnd:
    return TraceEnd(
        state=end.state,
        where=end.where,
        user_id=end.user_id,
        address=end.address,
        deleted=end.deleted,
        outcome=end.verdict.outcome if end.verdict else None,
        spam_score=end.verdict.spam_score if end.verdict else None,
        hops=[
            TraceHop(
                stage=row.hop.stage,
                started_at=rfc3339(row.hop.started_at_ms),
                waited_ms=row.waited_ms,
                took_ms=row.hop.took_ms,
                verdict=row.hop.verdict,
                attempt=row.hop.attempt,
                worker=row.hop.worker,
            )
            for row in timed(end.hops)
        ],
    )


async def list_rejected(call: AuthenticatedRequest) -> web.StreamResponse:
    values = query(call.request, "after", "limit")
    limit, since_ms = limit_of(values, call.context.config), moment_of(values, "after")
    since_ms = now_ms() - DAY_MS if since_ms is None else since_ms
    if since_ms < 0:
        raise bad_request("bad_after", "A time from 1970 on.", "query:after")
    rows = await rejected(admin_ports(call).submissions, since_ms=since_ms, limit=limit)
    return json_response(RejectedList(recipients=[_rejected(row) for row in rows]))


def _rejected(row: RejectedRecipient) -> RejectedRow:
    return RejectedRow(
        submission_id=row.submission_id,
        sender=row.sender,
        address=row.address,
        code=row.code,
        detail=row.detail,
        server=row.server,
        failed_at=rfc3339(row.failed_at_ms),
    )


ROUTES = (
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/trace",
        name="admin_trace",
        summary="Find a mail, and the stages that it has passed.",
        handler=get_trace,
        query=("name", "recipient", "around", "within_min"),
        response=TraceResource,
        problems=(404,),
    ),
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/rejected",
        name="admin_rejected",
        summary="List recipients that mails of users did not reach; without `after`: of a day.",
        handler=list_rejected,
        query=("after", "limit"),
        response=RejectedList,
    ),
)
