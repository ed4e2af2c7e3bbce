"""GET /v1/admin/status, /v1/admin/history: the state of the stack, and its lag of two hours."""

import re

from aiohttp import web

from api.admin.acts import admin_ports
from api.admin.route import PREFIX, OperatorRoute
from api.context import AuthenticatedRequest
from api.problems import bad_request
from api.rest.parameters import query
from api.rest.responses import json_response
from mail.clock import now_ms
from operations.stack_status import MINUTES_MAX, LagHistoryReport, StackReport, lag_history

_MINUTES = re.compile("[0-9]{1,3}")


async def get_status(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    return json_response(await admin_ports(call).stack.report())


async def get_history(call: AuthenticatedRequest) -> web.StreamResponse:
    text = query(call.request, "minutes").get("minutes", str(MINUTES_MAX))
    if not _MINUTES.fullmatch(text) or not 1 <= int(text) <= MINUTES_MAX:
        detail = f"A number from 1 to {MINUTES_MAX}."
        raise bad_request("bad_minutes", detail, "query:minutes")
    lags = await admin_ports(call).stack.lags()
    return json_response(lag_history(lags, minutes=int(text), now_ms=now_ms()))


ROUTES = (
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/status",
        name="admin_status",
        summary="Get the state of processes and engines, what waits, and warnings.",
        handler=get_status,
        response=StackReport,
    ),
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/history",
        name="admin_history",
        summary="Get the lag of each process, a value each 30 s.",
        handler=get_history,
        query=("minutes",),
        response=LagHistoryReport,
    ),
)
