"""Acts of operators: the log of them, and GET /v1/admin/acts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from api.admin.paging import position_of_cursor
from api.admin.route import PREFIX, OperatorRoute
from api.context import AuthenticatedRequest
from api.http.client_address import login_client
from api.problems import Problem
from api.rest.parameters import limit_of, query
from api.rest.responses import Timestamp, json_response
from mail.clock import now_ms, rfc3339
from mail.errors import PostriverError, Refused
from mail.ids import new_id
from mail.pagination import NEWEST, encode_cursor
from operations.admin_ports import AdminPorts
from schemas.directory import OperatorAct

DETAIL_MAX_CHARS = 500
SCOPE = "admin.acts"


class ActResource(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` null: begun, and its end is not known."""

    id: str
    at: Timestamp
    operator: str
    peer: str
    verb: str
    target: str
    detail: str
    outcome: str | None


class ActList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first."""

    acts: list[ActResource]
    next_cursor: str | None


def admin_ports(call: AuthenticatedRequest) -> AdminPorts:
    ports = call.context.ports.admin
    assert ports is not None, "routes of operators are there with their ports only"
    return ports


@asynccontextmanager
async def acting(
    call: AuthenticatedRequest, verb: str, target: str, detail: str = ""
) -> AsyncIterator[None]:
    """Note the act before the block, and its outcome after it, also if the block fails.

    Raises StoreUnavailable: the act cannot be noted, so it is not carried out.
    """
    acts = admin_ports(call).directory
    act = OperatorAct(
        act_id=new_id(),
        at_ms=now_ms(),
        user_id=call.user_id,
        address=call.caller.user.address,
        peer=login_client(call.request).peer,
        verb=verb,
        target=target[:DETAIL_MAX_CHARS],
        detail=detail[:DETAIL_MAX_CHARS],
    )
    await acts.add_act(act)
    try:
        yield
    except Exception as error:
        await acts.end_act(act.act_id, f"failed: {_reason(error)}")
        raise
    await acts.end_act(act.act_id, "done")


def _reason(error: Exception) -> str:
    """Which kind of error; its text may quote what the operator wrote."""
    match error:
        case Problem():
            return error.body.code
        case Refused():
            return error.detail[:DETAIL_MAX_CHARS]
        case PostriverError():
            return type(error).__name__
        case _:
            return "internal error"


async def list_acts(call: AuthenticatedRequest) -> web.StreamResponse:
    values = query(call.request, "limit", "cursor")
    limit = limit_of(values, call.context.config)
    before = position_of_cursor(values, call.context.config, SCOPE) or NEWEST
    rows = await admin_ports(call).directory.acts(limit=limit, before=before)
    last = (rows[-1].at_ms, rows[-1].act_id) if len(rows) == limit else None
    acts = [_resource(row) for row in rows]
    return json_response(ActList(acts=acts, next_cursor=last and encode_cursor(last, SCOPE)))


def _resource(row: OperatorAct) -> ActResource:
    return ActResource(
        id=row.act_id,
        at=rfc3339(row.at_ms),
        operator=row.address,
        peer=row.peer,
        verb=row.verb,
        target=row.target,
        detail=row.detail,
        outcome=row.outcome or None,
    )


ROUTES = (
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/acts",
        name="admin_acts",
        summary="List what operators did here: who, when, from where, with which outcome.",
        handler=list_acts,
        query=("limit", "cursor"),
        response=ActList,
    ),
)
