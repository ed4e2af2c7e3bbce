"""Operator's HTTP server: health, readiness, status, lag history and metrics on one port.

It reads the supervisor's state and queries each role on its unix socket. A role that does not
answer within a probe's timeout is reported as such.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
from aiohttp import web
from prometheus_client.metrics_core import Metric

from stack.supervision.http_probe import http_get
from stack.supervision.metrics import render
from stack.supervision.program import ProgramKind
from stack.supervision.supervised_process import ProcessState, SupervisedProcess

OpsHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class WatchedStack(Protocol):
    """State that the server shows; implemented by the supervisor."""

    children: dict[str, SupervisedProcess]

    @property
    def state(self) -> str: ...
    def warnings(self) -> Sequence[str]: ...
    def facts(self) -> Mapping[str, object]: ...
    def measures(self) -> Iterable[Metric]: ...
    def reasons(self) -> dict[str, str]: ...


@asynccontextmanager
async def serve_ops(
    watched: WatchedStack, address: tuple[str, int]
) -> AsyncIterator[tuple[str, int]]:
    """Serve on `address` until the block ends; yield the address with the actual port."""
    app = web.Application(middlewares=[_only_by_a_loopback_name])
    pages = _Pages(watched)
    app.add_routes([web.get(f"/{name}", getattr(pages, name)) for name in pages.NAMES])
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, *address, shutdown_timeout=1.0)
        await site.start()
        yield address[0], runner.addresses[0][1]
    finally:
        await runner.cleanup()


@web.middleware
async def _only_by_a_loopback_name(request: web.Request, handler: OpsHandler) -> web.StreamResponse:
    """Answer 421 for a Host that is no name of the loopback (RFC 9110 §7.4).

    A page in a browser on this machine could otherwise read the answers by DNS rebinding.
    """
    if _name_of(request.headers.get("Host", "")) in LOOPBACK_NAMES:
        return await handler(request)
    return _json({"error": "ask for localhost or 127.0.0.1"}, status=421)


def _name_of(host: str) -> str:
    """`localhost` for `LocalHost:8081`; `[::1]` keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


class _Pages:
    NAMES = ("healthz", "readyz", "status", "history", "metrics")

    def __init__(self, watched: WatchedStack) -> None:
        self._watched = watched

    async def healthz(self, _: web.Request) -> web.Response:
        return _json({"alive": True})

    async def readyz(self, _: web.Request) -> web.Response:
        ready = self._watched.state == "ready"
        roles = await asyncio.gather(*(_role(child) for child in self._serving()))
        body = {
            "ready": ready,
            "state": self._watched.state,
            "reasons": self._watched.reasons(),
            "warnings": self._warnings(roles),
        }
        return _json(body, status=200 if ready else 503)

    async def status(self, _: web.Request) -> web.Response:
        return _json(await self._status())

    async def history(self, _: web.Request) -> web.Response:
        """The samples that each role keeps of its lag, oldest first."""
        roles = self._serving()
        pages = await asyncio.gather(*(_said(child, "/history") for child in roles))
        return _json(
            {
                "roles": [
                    {"name": child.program.name, "samples": said.get("samples", [])}
                    for child, said in zip(roles, pages, strict=True)
                ]
            }
        )

    async def metrics(self, _: web.Request) -> web.Response:
        roles = self._serving()
        pages = await asyncio.gather(*(_page(child, "/metrics") for child in roles))
        texts = {c.program.name: p.decode() for c, p in zip(roles, pages, strict=True) if p}
        text = await asyncio.to_thread(self._rendered, texts)
        return web.Response(body=text, headers={"Content-Type": METRICS_TYPE})

    def _warnings(self, roles: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the warnings of the machine and of each role."""
        said = (f"{one['name']}: {text}" for one in roles for text in one["warnings"])
        return [*self._watched.warnings(), *said]

    def _rendered(self, texts: Mapping[str, str]) -> bytes:
        """Render the page; called in a thread, since the query of every process is slow."""
        watched = self._watched
        return render(list(watched.children.values()), watched.state, texts, watched.measures())

    def _serving(self) -> list[SupervisedProcess]:
        return [c for c in self._watched.children.values() if c.program.http is not None]

    async def _status(self) -> dict[str, object]:
        children = [c for c in self._watched.children.values() if c.state is not ProcessState.DONE]
        engines = [c for c in children if c.program.kind is ProgramKind.ENGINE]
        roles = await asyncio.gather(*(_role(child) for child in self._serving()))
        return {
            "state": self._watched.state,
            "processes": [_process(child) for child in children if child not in engines],
            "engines": [{**_process(c), "detail": c.reason or c.program.detail} for c in engines],
            "roles": roles,
            "reasons": self._watched.reasons(),
            "warnings": self._warnings(roles),
            **self._watched.facts(),
        }


def _process(child: SupervisedProcess) -> dict[str, object]:
    return {
        "name": child.program.name,
        "pid": child.pid,
        "state": child.state.value,
        "restarts": child.restarts,
    }


async def _role(child: SupervisedProcess) -> dict[str, Any]:
    """Return `{name, lag, held, detail, warnings}`; lag is None if the role does not answer."""
    said = await _said(child, "/status")
    return {
        "name": child.program.name,
        "lag": said.get("lag"),
        "held": said.get("held", []),
        "detail": said.get("detail", {}),
        "warnings": said.get("warnings", []),
    }


async def _said(child: SupervisedProcess, page: str) -> Mapping[str, Any]:
    """The JSON object of a role's page; empty if the role gives none."""
    try:
        loaded = json.loads(await _page(child, page) or b"{}")
    except ValueError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


async def _page(child: SupervisedProcess, page: str) -> bytes | None:
    if child.program.http is None or child.pid is None:
        return None
    try:
        status, body = await http_get(child.program.http, page)
    except (OSError, TimeoutError, aiohttp.ClientError):
        return None
    return body if status == 200 else None


def _json(body: object, *, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)
