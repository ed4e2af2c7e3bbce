"""healthz: this process answers. readyz: it can do its work, and what an operator must know."""

from aiohttp import web

from api.answers import Health, Readiness, json_answer
from api.edge import Call
from mail.errors import Transient


async def healthz(call: Call) -> web.StreamResponse:
    del call
    return json_answer(Health())


async def readyz(call: Call) -> web.StreamResponse:
    """503 with reasons until everything is there; warnings come with either answer."""
    reasons = [*call.edge.not_ready(), *await _away(call)]
    body = Readiness(
        status="not ready" if reasons else "ready",
        reasons=reasons,
        warnings=call.edge.warnings(),
    )
    return json_answer(body, status=503 if reasons else 200)


async def _away(call: Call) -> list[str]:
    """Ask the stores something cheap; a reason names the engine, without its words."""
    away = []
    for ask in (call.edge.ports.directory.user, call.edge.ports.store.folders):
        try:
            await ask("nobody")
        except Transient as error:
            away.append(f"{error.engine} does not answer")
    return away
