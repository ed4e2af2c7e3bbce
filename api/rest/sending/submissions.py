"""/v1/submissions: the mails that the caller sends, with the state of each recipient.

A row is read from the submission store, which its single writer updates before the change feed
shows the change. The seq of the change is read from the mailbox, which gives it.
"""

from typing import get_args

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request, not_found
from api.rest.parameters import bad_cursor, cursor_of, id_of, limit_of, query
from api.rest.responses import Timestamp, json_response, optional_timestamp
from api.route import AuthenticatedRoute
from edge.mailbox_commands import CommandFailed
from mail.clock import rfc3339
from mail.errors import Refused
from mail.pagination import decode_cursor, encode_cursor
from mail.sending.submission_rows import noted_by
from schemas.events.mailbox_events import NOT_FOUND
from schemas.ids import DraftId, MessageId, SubmissionId
from schemas.submissions import HELD, RecipientState, RecipientStatus, Submission, SubmissionStatus

PATH = "/v1/submissions"
TOO_LATE = "too_late"
EXAMINED_MAX = 500  # rows that a list with a status looks at


class RecipientResource(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is an enhanced status code (RFC 3463), `detail` the peer's reply or our reason."""

    address: str
    status: RecipientStatus
    code: str | None
    detail: str | None
    attempts: int
    next_attempt_at: Timestamp | None
    server: str | None


class SubmissionResource(msgspec.Struct, frozen=True, kw_only=True):
    """`message_id` is the message in Sent, once the mail has passed the checks.

    `subject` is empty if the mail came from a mail program. `version` grows with each change, also
    in the change feed, where `changed_seq` is the seq of this version; null: not yet in the feed,
    or of an earlier release.
    """

    id: SubmissionId
    message_id: MessageId
    subject: str
    status: SubmissionStatus
    created_at: Timestamp
    held_until: Timestamp | None
    draft_id: DraftId | None
    version: int
    changed_seq: int | None
    recipients: list[RecipientResource]


class SubmissionList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. With a status a page may have less rows than `limit`, also none."""

    submissions: list[SubmissionResource]
    next_cursor: str | None


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """The mail is in Drafts again as this draft, once it has passed the scanners."""

    draft_id: DraftId | None


async def list_submissions(call: AuthenticatedRequest) -> web.StreamResponse:
    config = call.context.config
    values = query(call.request, "limit", "cursor", "status")
    limit, cursor = limit_of(values, config), cursor_of(values, config)
    status = _status_of(values)
    scope = ("submissions", call.user_id)
    try:
        before = SubmissionId(decode_cursor(cursor, *scope)[1]) if cursor else None
    except Refused as error:
        raise bad_cursor() from error
    examined = limit if status is None else EXAMINED_MAX
    rows = await call.context.ports.submissions.list(call.user_id, before=before, limit=examined)
    found = [row for row in rows if status is None or row.status == status][:limit]
    last = found[-1] if len(found) == limit else rows[-1] if len(rows) == examined else None
    return json_response(
        SubmissionList(
            submissions=await _resources(call, found),
            next_cursor=encode_cursor((0, last.submission_id), *scope) if last else None,
        )
    )


def _status_of(values: dict[str, str]) -> str | None:
    """The status that rows must have. Raises Problem 400: there is no such status."""
    known = get_args(SubmissionStatus)
    if (status := values.get("status")) not in (None, *known):
        raise bad_request("bad_status", f"One of: {', '.join(known)}.", "query:status")
    return status


async def get_submission(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    row = await call.context.ports.submissions.get(SubmissionId(id_of(call.request)))
    if row is None or row.user_id != call.user_id:
        raise not_found()
    (resource,) = await _resources(call, [row])
    return json_response(resource)


async def cancel_submission(call: AuthenticatedRequest) -> web.StreamResponse:
    """Raises Problem 409 `too_late`: the mail was sent."""
    query(call.request)
    submission_id = SubmissionId(id_of(call.request))
    try:
        note = await call.context.submitter.cancel(call.caller.user, submission_id)
    except CommandFailed as failure:
        if failure.outcome == NOT_FOUND:
            raise not_found() from failure
        raise Problem(409, TOO_LATE, failure.detail) from failure
    return json_response(Cancellation(draft_id=note.draft_id or None))


async def _resources(
    call: AuthenticatedRequest, rows: list[Submission]
) -> list[SubmissionResource]:
    noted = {row.submission_id: noted_by(row) for row in rows}
    seqs = await call.context.ports.store.command_seqs(call.user_id, list(noted.values()))
    return [_resource(row, seqs.get(noted[row.submission_id])) for row in rows]


def _resource(row: Submission, changed_seq: int | None) -> SubmissionResource:
    return SubmissionResource(
        id=row.submission_id,
        message_id=row.message_id,
        subject=row.mail.subject,
        status=row.status,
        created_at=rfc3339(row.created_at_ms),
        held_until=optional_timestamp(row.fire_at_ms) if row.status == HELD else None,
        draft_id=row.mail.draft_id or None,
        version=row.version,
        changed_seq=changed_seq,
        recipients=[_recipient(state) for state in row.recipients],
    )


def _recipient(state: RecipientState) -> RecipientResource:
    return RecipientResource(
        address=state.address,
        status=state.status,
        code=state.code or None,
        detail=state.detail or None,
        attempts=state.attempts,
        next_attempt_at=optional_timestamp(state.next_attempt_at_ms or 0),
        server=state.server or None,
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path=PATH,
        name="submissions",
        summary="List the mails that the caller sent or will send, newest first.",
        query=("limit", "cursor", "status"),
        handler=list_submissions,
        response=SubmissionList,
    ),
    AuthenticatedRoute(
        method="GET",
        path=f"{PATH}/{{id}}",
        name="submission",
        summary="Get a submission with the state of each recipient.",
        handler=get_submission,
        response=SubmissionResource,
        problems=(404,),
    ),
    AuthenticatedRoute(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        name="cancel_submission",
        summary="Cancel a submission that is held; its mail returns to Drafts.",
        handler=cancel_submission,
        response=Cancellation,
        problems=(403, 404, 409),
    ),
)
