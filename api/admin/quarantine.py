"""/v1/admin/quarantine: mail that was accepted and must not be delivered."""

from typing import Any, get_args

import msgspec
from aiohttp import web

from api.admin.acts import acting, admin_ports
from api.admin.paging import position_of_cursor
from api.admin.route import PREFIX, OperatorRoute
from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request
from api.rest.parameters import id_of, limit_of, query, read_body
from api.rest.responses import AddressResource, Timestamp, json_response
from mail.clock import now_ms, rfc3339
from mail.errors import NotFound, Refused
from mail.pagination import encode_cursor
from operations.quarantine import discard, get_quarantined, release
from schemas.ids import MailId
from schemas.quarantine import Quarantined, QuarantineReason

BODY_PROBLEMS = (408, 413, 415)


class QuarantinedMail(msgspec.Struct, frozen=True, kw_only=True):
    """`detail`: the virus, the score with its rules, or why no scanner could read the mail."""

    mail_id: str
    cause: QuarantineReason
    detail: str
    sender: AddressResource | None = msgspec.field(name="from")
    reverse_path: str
    recipients: list[str]
    subject: str
    size_bytes: int
    received_at: Timestamp
    quarantined_at: Timestamp
    released_at: Timestamp | None
    released_by: str | None


class QuarantineList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first."""

    mails: list[QuarantinedMail]
    next_cursor: str | None


class ReleaseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`force`: infected mail too."""

    force: bool = False


async def list_mails(call: AuthenticatedRequest) -> web.StreamResponse:
    values = query(call.request, "cause", "limit", "cursor")
    limit, cause = limit_of(values, call.context.config), values.get("cause")
    if cause is not None and cause not in get_args(QuarantineReason):
        detail = f"One of {', '.join(get_args(QuarantineReason))}."
        raise bad_request("bad_cause", detail, "query:cause")
    scope = ("admin.quarantine", cause or "")
    before = position_of_cursor(values, call.context.config, *scope)
    store = admin_ports(call).release.quarantine
    rows = await store.list(limit=limit, before=before and before[1], reason=cause)
    last = encode_cursor((0, rows[-1].mail_id), *scope) if len(rows) == limit else None
    mails = [_resource(row) for row in rows]
    return json_response(QuarantineList(mails=mails, next_cursor=last))


async def release_mail(call: AuthenticatedRequest) -> web.StreamResponse:
    """Deliver the mail to its recipients against its verdict.

    Raises Problem 409: the mail is infected and `force` is not set, or its content is gone.
    """
    query(call.request)
    mail_id, ports = MailId(id_of(call.request)), admin_ports(call)
    body = await read_body(call.request, ReleaseRequest)
    async with acting(call, "quarantine.release", mail_id, "force" if body.force else ""):
        row = await _released(call, mail_id, force=body.force)
    shown = await ports.release.quarantine.get(mail_id)
    return json_response(_resource(shown or row))


async def _released(call: AuthenticatedRequest, mail_id: MailId, *, force: bool) -> Quarantined:
    ports = admin_ports(call)
    try:
        return await release(
            mail_id,
            ports.release,
            ports.publisher,
            by=call.caller.user.address,
            at_ms=now_ms(),
            force=force,
            worker=call.context.config.worker,
        )
    except NotFound:
        raise
    except Refused as error:
        raise Problem(409, "refused", error.detail) from error


async def delete_mail(call: AuthenticatedRequest) -> web.StreamResponse:
    """Delete the mail for good; its verdict stays known."""
    query(call.request)
    mail_id, ports = MailId(id_of(call.request)), admin_ports(call).release
    async with acting(call, "quarantine.delete", mail_id):
        row = await get_quarantined(mail_id, ports.quarantine)
        await discard(mail_id, ports, by=call.caller.user.address, at_ms=now_ms())
    return json_response(_resource(row))


def _resource(row: Quarantined) -> QuarantinedMail:
    sender = row.head.sender
    released: dict[str, Any] = {"released_at": None, "released_by": None}
    if row.released_at_ms is not None:
        released = {"released_at": rfc3339(row.released_at_ms), "released_by": row.released_by}
    return QuarantinedMail(
        mail_id=row.mail_id,
        cause=row.reason,
        detail=_detail(row),
        sender=AddressResource(sender.name, sender.address) if sender else None,
        reverse_path=row.envelope.reverse_path,
        recipients=[each.address for each in row.envelope.recipients],
        subject=row.head.subject,
        size_bytes=row.content.size_bytes,
        received_at=rfc3339(row.received_at_ms),
        quarantined_at=rfc3339(row.quarantined_at_ms),
        **released,
    )


def _detail(row: Quarantined) -> str:
    verdict = row.verdict
    if verdict.virus or verdict.detail:
        return verdict.virus or verdict.detail
    return f"{verdict.spam_score:g}: {', '.join(verdict.spam_tests)}"


ROUTES = (
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/quarantine",
        name="admin_quarantine",
        summary="List mail in quarantine, newest first.",
        handler=list_mails,
        query=("cause", "limit", "cursor"),
        response=QuarantineList,
    ),
    OperatorRoute(
        method="POST",
        path=f"{PREFIX}/quarantine/{{id}}/release",
        name="admin_release",
        summary="Deliver mail in quarantine to its recipients, against its verdict.",
        handler=release_mail,
        body=ReleaseRequest,
        response=QuarantinedMail,
        problems=(404, 409, *BODY_PROBLEMS),
    ),
    OperatorRoute(
        method="POST",
        path=f"{PREFIX}/quarantine/{{id}}/delete",
        name="admin_delete",
        summary="Delete mail in quarantine for good.",
        handler=delete_mail,
        response=QuarantinedMail,
        problems=(404,),
    ),
)
