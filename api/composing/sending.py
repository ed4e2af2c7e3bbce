"""POST /v1/messages: compose a mail and submit it.

A request with an `Idempotency-Key` may be repeated. Before anything is composed the key is looked
up in the store; of requests that arrive at the same moment, the submission stage takes the first
one. A repeat is answered like the first request, although its draft no longer exists.
"""

import asyncio
import hashlib
import re

import msgspec
from aiohttp import web

from api.composing.author import Author
from api.composing.bodies import read_mail_body
from api.composing.requests import SubmissionInput
from api.composing.submission import ComposedSubmission, compose_submission
from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request
from api.rest.mailbox_commands import BODY_PROBLEMS
from api.rest.parameters import query
from api.rest.responses import Timestamp, json_response, optional_timestamp
from api.rest.sending.submissions import PATH as SUBMISSIONS
from api.route import AuthenticatedRoute
from edge.mailbox_commands import CommandFailed
from edge.submissions import SubmissionRequest
from mail.clock import now_ms
from mail.composing.faults import ComposingFault
from mail.errors import BrokerUnavailable
from mail.ids import dated_id, derived_id, new_id, time_ms
from mail.sending.submission_rows import has_key, note_of
from schemas.content import Inline
from schemas.ids import DraftId, MailId, MessageId, SubmissionId
from schemas.mail import Hop
from schemas.submissions import NO_MESSAGE, RequestedRecipient, SubmissionNote, SubmittedMail

PATH = "/v1/messages"
HEADER = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,255}")


class MessageSubmitted(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the message that will be in Sent; until `held_until` it can be canceled."""

    id: MessageId
    submission_id: SubmissionId
    held_until: Timestamp | None


async def send_message(call: AuthenticatedRequest) -> web.StreamResponse:
    """Raises Problem: 422 a field is wrong, or the key was used for another request; 429; 503."""
    query(call.request)
    key = _idempotency_key(call.request)
    body = await read_mail_body(call, SubmissionInput)
    body_hash = await asyncio.to_thread(_hash, body) if key else ""
    if note := await _earlier(call, key, body_hash):
        return _response(note)
    try:
        return _response(await _send(call, body, key=key, body_hash=body_hash))
    except ComposingFault:
        if note := await _earlier(call, key, body_hash):  # it has removed the draft meanwhile
            return _response(note)
        raise


async def _earlier(call: AuthenticatedRequest, key: str, body_hash: str) -> SubmissionNote | None:
    """The submission of an earlier request with this key. Raises Problem 422: it was another."""
    row = await call.context.ports.submissions.by_key(call.user_id, key) if key else None
    if row is None or not has_key(row, at_ms=now_ms()):
        return None
    if row.body_hash != body_hash:
        raise _key_reused()
    return note_of(row)


async def _send(
    call: AuthenticatedRequest,
    body: SubmissionInput,
    *,
    key: str,
    body_hash: str,
) -> SubmissionNote:
    """Compose and submit. A mail that was certainly not submitted does not count in the limits."""
    context, user = call.context, call.caller.user
    mail_id, at_ms = MailId(new_id()), now_ms()
    count = len(body.to) + len(body.cc) + len(body.bcc)
    await context.sending_limiter.admit(user, mail_id, recipients=count)
    try:
        author = Author(context=context, user=user)
        composed = await compose_submission(author, body, mail_id=mail_id, at_ms=at_ms)
        await context.room.check(user, size_bytes=len(composed.octets))
        request = SubmissionRequest(
            mail=_submitted(mail_id, composed, body),
            hops=(_hop(call, at_ms),),
            hold_ms=_hold_ms(composed, at_ms),
            idempotency_key=key,
            body_hash=body_hash,
        )
        return await context.submitter.submit(user, request)
    except BrokerUnavailable:  # submitted or not
        raise
    except CommandFailed as failure:
        context.sending_limiter.release(mail_id)
        raise _key_reused() from failure
    except BaseException:
        context.sending_limiter.release(mail_id)
        raise


def _submitted(
    mail_id: MailId, composed: ComposedSubmission, body: SubmissionInput
) -> SubmittedMail:
    own_copy, draft = composed.own_copy, composed.draft
    return SubmittedMail(
        mail_id=mail_id,
        reverse_path=composed.envelope_from,
        recipients=tuple(RequestedRecipient(address=each) for each in composed.recipients),
        content=Inline(composed.octets),
        sent_copy=None if own_copy is None else Inline(own_copy),
        sent_mail_id=MailId("" if own_copy is None else _copy_id(mail_id)),
        needs_smtputf8=composed.needs_smtputf8,
        draft_id=DraftId(body.draft_id or derived_id(mail_id, "draft")),
        draft_message_id=NO_MESSAGE if draft is None else draft.message_id,
        answers=composed.in_reply_to or NO_MESSAGE,
        forwards=composed.forward_of or NO_MESSAGE,
        subject=body.subject,
    )


def _copy_id(mail_id: MailId) -> str:
    """The mail id of the copy in Sent, of the same time."""
    return dated_id(time_ms(mail_id), mail_id, "sent")


def _hop(call: AuthenticatedRequest, began_ms: int) -> Hop:
    return Hop(
        stage="submit",
        started_at_ms=began_ms,
        took_ms=float(now_ms() - began_ms),
        verdict="http",
        attempt=1,
        worker=call.context.config.worker,
    )


def _hold_ms(composed: ComposedSubmission, at_ms: int) -> int:
    if composed.send_at_ms is not None:
        return max(0, composed.send_at_ms - at_ms)
    return composed.undo_s * 1000


def _hash(body: SubmissionInput) -> str:
    """Equal for equal requests. Takes tens of milliseconds for the largest bodies."""
    return hashlib.sha256(msgspec.json.encode(body)).hexdigest()


def _idempotency_key(request: web.Request) -> str:
    """The key, "" without; quotes of a structured field (RFC 8941 §3.3.3) are removed."""
    key = request.headers.get(HEADER, "").strip()
    if len(key) > 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if key and not _KEY.fullmatch(key):
        raise bad_request("bad_idempotency_key", "1 to 255 ASCII characters.", f"header:{HEADER}")
    return key


def _key_reused() -> Problem:
    detail = "This Idempotency-Key was used for another request."
    return Problem(422, "idempotency_key_reused", detail, place=f"header:{HEADER}")


def _response(note: SubmissionNote) -> web.Response:
    return json_response(
        MessageSubmitted(
            id=note.message_id,
            submission_id=note.submission_id,
            held_until=optional_timestamp(note.held_until_ms),
        ),
        status=202,
        headers={"Location": f"{SUBMISSIONS}/{note.submission_id}"},
    )


ROUTES = (
    AuthenticatedRoute(
        method="POST",
        path=PATH,
        name="send_message",
        summary="Send a mail; safe to repeat with the same Idempotency-Key.",
        handler=send_message,
        body=SubmissionInput,
        status=202,
        response=MessageSubmitted,
        problems=(403, 408, *BODY_PROBLEMS, 422, 507),
    ),
)
