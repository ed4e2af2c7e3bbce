"""The edge as an aiohttp application, and how to serve it.

Failures that we name become their problem (api/problems.py); all others become 500 with an incident
id, and the log has the rest. There is no access log: it would hold addresses, searches and ids.
"""

import logging
import ssl
import time
from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from api.config import ApiConfig
from api.context import EDGE, USER_ID, AppContext, NotReadyReasons, make_edge
from api.http.client_address import CLIENT, client_of
from api.http.compression import compress
from api.http.connection_limits import LimitedSite, request_slot
from api.http.cors import allow, preflight
from api.http.paced_response import is_long, send_long
from api.http.security_headers import secure
from api.openapi import PATH, document
from api.ports import ApiPorts
from api.problems import Problem, of_error, of_http
from api.route import AuthenticatedRoute
from api.routes import ROUTES
from api.webmail.static_files import add_page
from mail.errors import PostriverError
from mail.ids import new_id
from mail.lifecycle import Periodic

log = logging.getLogger("postriver.api")
_UNREAD = logging.getLogger("aiohttp.unread")  # it quotes heads that it cannot read
_AUTHENTICATED_PATHS = frozenset(
    route.path for route in ROUTES if isinstance(route, AuthenticatedRoute)
)
_PREPARED = web.RequestKey("prepared", bool)


def make_app(
    config: ApiConfig,
    ports: ApiPorts,
    ready: NotReadyReasons,
) -> web.Application:
    """The whole edge; `ready()` gives the reasons why it is not, none when it is."""
    app = web.Application(
        middlewares=[_answer_failures],
        client_max_size=config.body_max_bytes,
    )
    app[EDGE] = make_edge(config, ports, not_ready=ready)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, route.handle)
        if route.method == hdrs.METH_GET and route.name != "push":
            app.router.add_route(hdrs.METH_HEAD, route.path, route.handle)
    app.router.add_get(PATH, _describe(config))
    add_page(app)
    app.on_response_prepare.append(secure)
    app.on_response_prepare.append(_allow_origins)
    app.on_response_prepare.append(_note_prepared)
    app.on_shutdown.append(_end_sockets)
    app.cleanup_ctx.append(_authenticator)
    app.cleanup_ctx.append(_session_ends)
    return app


async def start(
    app: web.Application, *, tls: ssl.SSLContext | None = None
) -> tuple[web.AppRunner, int]:
    """Listen where the configuration says; the port is the real one when it says 0.

    With `tls` the port speaks HTTPS and nothing else.
    """
    config = app[EDGE].config
    _UNREAD.setLevel(logging.CRITICAL)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_UNREAD,
        shutdown_timeout=5.0,
        keepalive_timeout=config.keepalive_s,
        lingering_time=2.0,
    )
    await runner.setup()
    for descriptor in config.descriptors or (None,):
        site = LimitedSite(runner, config, app[EDGE].connections, tls=tls, descriptor=descriptor)
        await site.start()
    port: int = runner.addresses[0][1]
    return runner, port


def _describe(config: ApiConfig) -> Handler:
    body = msgspec.json.encode(document(config))

    async def answer(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=body, content_type="application/json")

    return answer


@web.middleware
async def _answer_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Problem details for every failure, and a count for every answer."""
    started_s = time.monotonic()
    edge = request.app[EDGE]
    request[CLIENT] = client = client_of(request, edge.config)
    try:
        with request_slot(edge.connections, client, edge.config):
            if not _is_signed(request):
                edge.count_anonymous(request)
            response = preflight(request, edge.config) or await handler(request)
            await compress(request, response)
            response = await _sent(request, response, edge)
    except Exception as error:
        if request.get(_PREPARED):
            raise _cut_off(request, error) from error
        response = _problem(error, edge).response()
    _count(request, response.status, time.monotonic() - started_s)
    return response


async def _sent(
    request: web.Request, response: web.StreamResponse, edge: AppContext
) -> web.StreamResponse:
    """Send a long answer at its reader's pace; aiohttp sends all others. 429: too many at once."""
    if not (isinstance(response, web.Response) and is_long(request, response)):
        return response
    assert isinstance(response.body, bytes)
    if (size_bytes := len(response.body)) <= edge.config.long_answer_bytes:
        return await send_long(request, response, edge.config)
    with edge.downloads.slot(request.get(USER_ID, ""), size_bytes):
        return await send_long(request, response, edge.config)


def _is_signed(request: web.Request) -> bool:
    """Whether the route asks who it is: then its caller is charged, see api/context.py."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in _AUTHENTICATED_PATHS


def _problem(error: Exception, edge: AppContext) -> Problem:
    match error:
        case Problem():
            return error
        case web.HTTPException():
            return of_http(error)
        case PostriverError():
            return of_error(error, edge.config.retry_after_s) or _incident(error)
        case _:
            return _incident(error)


def _incident(error: Exception) -> Problem:
    incident = new_id()
    log.error("incident %s", incident, exc_info=error)
    return Problem(500, "internal", "Something broke; our log knows more.", incident=incident)


def _cut_off(request: web.Request, error: Exception) -> ConnectionError:
    """Half an answer is out: break off, so that nobody takes it for the whole."""
    if not isinstance(error, ConnectionError):
        log.error("an answer broke off", exc_info=error)
    if request.transport is not None:
        request.transport.abort()
    return ConnectionResetError("broken off")


def _count(request: web.Request, status: int, took_s: float) -> None:
    resource = request.match_info.route.resource
    if resource is None:
        method, route = "any", "unmatched"
    else:
        method, route = request.method, resource.canonical
    lasting = status == HTTPStatus.SWITCHING_PROTOCOLS
    request.app[EDGE].metrics.seen(method, route, status, None if lasting else took_s)


async def _allow_origins(request: web.Request, response: web.StreamResponse) -> None:
    allow(request, response, request.app[EDGE].config)


async def _note_prepared(request: web.Request, response: web.StreamResponse) -> None:
    del response
    request[_PREPARED] = True


async def _end_sockets(app: web.Application) -> None:
    app[EDGE].sockets.end_all()


async def _session_ends(app: web.Application) -> AsyncIterator[None]:
    edge = app[EDGE]
    looking = Periodic(
        "session ends", edge.session_ends.look, interval_s=edge.config.session_ends_s
    )
    looking.start()
    yield
    await looking.stop()


async def _authenticator(app: web.Application) -> AsyncIterator[None]:
    yield
    app[EDGE].authenticator.close()
