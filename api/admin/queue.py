"""/v1/admin/queue: mail on its way to other servers."""

from typing import Annotated, get_args

import msgspec
from aiohttp import web

from api.admin.acts import acting, admin_ports
from api.admin.quarantine import BODY_PROBLEMS
from api.admin.route import PREFIX, OperatorRoute
from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request, not_found
from api.rest.parameters import (
    ADDRESS_MAX_CHARS,
    flag_of,
    limit_of,
    moment_of,
    query,
    read_body,
)
from api.rest.responses import Timestamp, json_response
from mail.clock import now_ms, rfc3339
from mail.ports.relay_queue import RelayAction
from operations import relay_queue
from operations.relay_queue import QueueRow
from schemas.ids import MailId
from schemas.relay import HELD, DestinationLoad, RelayFilter

FILTERS = ("domain", "address", "sender", "before", "reason")
MAILS_MAX = 500
ShortName = Annotated[str, msgspec.Meta(max_length=ADDRESS_MAX_CHARS)]
QueuedMailId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class QueueDomain(msgspec.Struct, frozen=True, kw_only=True):
    """Recipients of one domain that have no mail yet.

    `by_age`: how many wait for at least 1 h, 4 h, 1 day, 3 days.
    """

    domain: str
    waiting: int
    held: int
    oldest_at: Timestamp
    by_age: list[int]


class QueueDomains(msgspec.Struct, frozen=True, kw_only=True):
    """The domains with most recipients first."""

    domains: list[QueueDomain]


class QueueRows(msgspec.Struct, frozen=True, kw_only=True):
    """The oldest mail first. `more` true: other rows meet the conditions too."""

    recipients: list[QueueRow]
    more: bool


class QueueSelection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which recipients: those of `mail_ids`, and all that meet every condition that is given."""

    mail_ids: Annotated[list[QueuedMailId], msgspec.Meta(max_length=MAILS_MAX)] = []
    domain: ShortName = ""
    address: ShortName = ""
    sender: ShortName = ""
    reason: ShortName = ""


class QueueChange(msgspec.Struct, frozen=True, kw_only=True):
    """`changed`: the number of recipients."""

    changed: int


async def list_domains(call: AuthenticatedRequest) -> web.StreamResponse:
    limit = limit_of(query(call.request, "limit"), call.context.config)
    loads = await admin_ports(call).queue.loads(now_ms=now_ms(), limit=limit)
    return json_response(QueueDomains(domains=[_domain(load) for load in loads]))


async def list_recipients(call: AuthenticatedRequest) -> web.StreamResponse:
    """Rows that meet the conditions; with `mail_id` also those that are done."""
    values = query(call.request, *FILTERS, "mail_id", "held", "limit")
    limit, ports = limit_of(values, call.context.config), admin_ports(call)
    for name in FILTERS:
        if len(values.get(name, "")) > ADDRESS_MAX_CHARS:
            raise bad_request(f"bad_{name}", f"Up to {ADDRESS_MAX_CHARS}.", f"query:{name}")
    conditions = await relay_queue.conditions_of(
        ports.directory,
        before_ms=moment_of(values, "before"),
        **{name: values.get(name, "") for name in FILTERS if name != "before"},
    )
    is_held = bool(flag_of(values, "held"))
    conditions = msgspec.structs.replace(
        conditions, mail_id=MailId(values.get("mail_id", "")), state=HELD if is_held else ""
    )
    rows = await relay_queue.found(ports.queue, conditions, limit=limit + 1)
    shown = [relay_queue.queue_row(each) for each in rows[:limit]]
    return json_response(QueueRows(recipients=shown, more=len(rows) > limit))


async def change(call: AuthenticatedRequest) -> web.StreamResponse:
    """Carry out an action of `postriver queue`; once more it changes nothing."""
    query(call.request)
    action, ports = _action_of(call.request), admin_ports(call)
    body = await read_body(call.request, QueueSelection)
    if body == QueueSelection():
        raise Problem(400, "bad_selection", "Name mails, or a condition such as a domain.")
    named = {name: getattr(body, name) for name in FILTERS if name != "before"}
    conditions = await relay_queue.conditions_of(ports.directory, **named)
    each = [msgspec.structs.replace(conditions, mail_id=MailId(id_)) for id_ in body.mail_ids]
    chosen: list[RelayFilter] = each or [conditions]
    detail = msgspec.json.encode({name: it for name, it in named.items() if it}).decode()
    target = ",".join(body.mail_ids)
    async with acting(call, f"queue.{action}", target, detail if any(named.values()) else ""):
        changed = await relay_queue.change(ports.queue, chosen, action, at_ms=now_ms())
    return json_response(QueueChange(changed=changed))


def _action_of(request: web.Request) -> RelayAction:
    text = request.match_info["action"]
    for action in get_args(RelayAction):
        if text == action:
            return action  # type: ignore[no-any-return]
    raise not_found()


def _domain(load: DestinationLoad) -> QueueDomain:
    return QueueDomain(
        domain=load.destination,
        waiting=load.rows - load.held,
        held=load.held,
        oldest_at=rfc3339(load.oldest_queued_at_ms),
        by_age=list(load.by_age),
    )


ROUTES = (
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/queue",
        name="admin_queue",
        summary="List the domains whose recipients wait for their mail.",
        handler=list_domains,
        query=("limit",),
        response=QueueDomains,
    ),
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/queue/recipients",
        name="admin_queue_recipients",
        summary="List recipients of other domains who wait for their mail.",
        handler=list_recipients,
        query=(*FILTERS, "mail_id", "held", "limit"),
        response=QueueRows,
        problems=(404,),
    ),
    OperatorRoute(
        method="POST",
        path=f"{PREFIX}/queue/{{action}}",
        name="admin_queue_change",
        summary="Retry, hold, release, cancel or bounce recipients in the queue.",
        handler=change,
        body=QueueSelection,
        response=QueueChange,
        problems=(404, *BODY_PROBLEMS),
    ),
)
