"""healthz: this process answers. readyz: it can do its work.

The port is public, so the answer is a word. Reasons and warnings stand on the operator's port
(stack/supervision/ops_server.py) and on the process's own unix socket
(cli/roles/health_endpoint.py).
"""

from aiohttp import web

from api.context import RequestContext
from api.rest.responses import Health, Readiness, json_answer
from mail.errors import Transient


async def healthz(call: RequestContext) -> web.StreamResponse:
    del call
    return json_answer(Health())


async def readyz(call: RequestContext) -> web.StreamResponse:
    """503 until everything that a request needs is there."""
    if call.edge.not_ready() or not await _stores_answer(call):
        return json_answer(Readiness(status="not ready"), status=503)
    return json_answer(Readiness(status="ready"))


async def _stores_answer(call: RequestContext) -> bool:
    """Ask the stores something cheap."""
    try:
        await call.edge.ports.users.user("nobody")
        await call.edge.ports.store.folders("nobody")
    except Transient:
        return False
    return True
