"""/healthz: the process answers. /readyz: the process can serve requests.

The port is public, so the responses give no reasons. Reasons and warnings are on the operator's
port (stack/supervision/ops_server.py) and on the process's unix socket
(cli/roles/health_endpoint.py).
"""

import msgspec
from aiohttp import web

from api.context import RequestContext
from api.rest.responses import json_response
from api.route import OpenRoute
from mail.errors import Transient
from schemas.ids import UserId


class Health(msgspec.Struct, frozen=True, kw_only=True):
    status: str = "ok"


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    status: str  # ready | not ready


async def healthz(call: RequestContext) -> web.StreamResponse:
    del call
    return json_response(Health())


async def readyz(call: RequestContext) -> web.StreamResponse:
    """503 until the process reports ready and the stores answer."""
    if call.context.not_ready() or not await _stores_answer(call):
        return json_response(Readiness(status="not ready"), status=503)
    return json_response(Readiness(status="ready"))


async def _stores_answer(call: RequestContext) -> bool:
    """Whether directory and mail store answer a cheap read, of a user that does not exist."""
    try:
        await call.context.ports.users.user(UserId("nobody"))
        await call.context.ports.store.folders(UserId("nobody"))
    except Transient:
        return False
    return True


ROUTES = (
    OpenRoute(
        method="GET",
        path="/healthz",
        name="healthz",
        summary="Check that the process answers.",
        handler=healthz,
        response=Health,
    ),
    OpenRoute(
        method="GET",
        path="/readyz",
        name="readyz",
        summary="Check that requests can be served; the reasons why not are on the operator port.",
        handler=readyz,
        response=Readiness,
        also=((503, Readiness),),
    ),
)
