"""The aiohttp application and its server.

A PostriverError becomes the problem that api/problems.py maps it to; any other exception becomes
500 with an incident id, and is logged under this id. There is no access log: it would contain
addresses, search queries and ids.
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
from api.context import CONTEXT, USER_ID, AppContext, NotReadyReasons, make_context
from api.http.client_address import CLIENT, client_of
from api.http.compression import compress
from api.http.connection_limits import LimitedSite, request_slot
from api.http.cors import add_cors_headers, preflight
from api.http.paced_response import is_long, send_long
from api.http.security_headers import add_security_headers
from api.openapi import PATH, document
from api.ports import ApiPorts
from api.problems import Problem, of_error, of_http
from api.route import AuthenticatedRoute
from api.routes import routes_of
from api.webmail.static_files import add_static_files
from mail.errors import PostriverError
from mail.ids import new_id
from mail.lifecycle import Periodic

log = logging.getLogger("postriver.api")
_UNREAD = logging.getLogger("aiohttp.unread")  # quotes malformed request heads
_AUTHENTICATED_PATHS = frozenset(
    route.path for route in routes_of(ApiConfig()) if isinstance(route, AuthenticatedRoute)
)
_PREPARED = web.RequestKey("prepared", bool)


def make_app(
    config: ApiConfig,
    ports: ApiPorts,
    ready: NotReadyReasons,
) -> web.Application:
    """Build the application; `ready` returns the reasons why it cannot serve, empty if it can."""
    app = web.Application(
        middlewares=[_answer_failures],
        client_max_size=config.body_max_bytes,
    )
    app[CONTEXT] = make_context(config, ports, not_ready=ready)
    for route in routes_of(config):
        app.router.add_route(route.method, route.path, route.handle)
        if route.method == hdrs.METH_GET and route.name != "push":
            app.router.add_route(hdrs.METH_HEAD, route.path, route.handle)
    app.router.add_get(PATH, _openapi_handler(config))
    add_static_files(app, config.webmail_libraries, admin=config.admin)
    app.on_response_prepare.append(add_security_headers)
    app.on_response_prepare.append(_add_cors_headers)
    app.on_response_prepare.append(_mark_prepared)
    app.on_shutdown.append(_close_sockets)
    app.cleanup_ctx.append(_close_authenticator)
    app.cleanup_ctx.append(_watch_ended_sessions)
    return app


async def start(
    app: web.Application, *, tls: ssl.SSLContext | None = None
) -> tuple[web.AppRunner, int]:
    """Listen as `config` says; return the runner and the port, which `config.port` 0 leaves open.

    With `tls` the port accepts HTTPS only.
    """
    config = app[CONTEXT].config
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
        site = LimitedSite(runner, config, app[CONTEXT].connections, tls=tls, descriptor=descriptor)
        await site.start()
    port: int = runner.addresses[0][1]
    return runner, port


def _openapi_handler(config: ApiConfig) -> Handler:
    body = msgspec.json.encode(document(config))

    async def respond(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=body, content_type="application/json")

    return respond


@web.middleware
async def _answer_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into problem details; count every response."""
    started_s = time.monotonic()
    context = request.app[CONTEXT]
    request[CLIENT] = client = client_of(request, context.config)
    try:
        with request_slot(context.connections, client, context.config):
            if not _needs_authentication(request):
                await context.count_anonymous(request)
            response = preflight(request, context.config) or await handler(request)
            await compress(request, response)
            response = await _send(request, response, context)
    except Exception as error:
        if request.get(_PREPARED):
            raise _abort(request, error) from error
        response = _problem(error, context).response()
    _count(request, response.status, time.monotonic() - started_s)
    return response


async def _send(
    request: web.Request, response: web.StreamResponse, context: AppContext
) -> web.StreamResponse:
    """Send a long response at its reader's pace; leave a short response to aiohttp.

    Raises Problem 429: too many long responses at once.
    """
    if not (isinstance(response, web.Response) and is_long(request, response)):
        return response
    assert isinstance(response.body, bytes)
    if (size_bytes := len(response.body)) <= context.config.long_answer_bytes:
        return await send_long(request, response, context.config)
    with context.download_slots.slot(request.get(USER_ID, ""), size_bytes):
        return await send_long(request, response, context.config)


def _needs_authentication(request: web.Request) -> bool:
    """Whether the request is of an AuthenticatedRoute, which counts it (api/route.py)."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in _AUTHENTICATED_PATHS


def _problem(error: Exception, context: AppContext) -> Problem:
    match error:
        case Problem():
            return error
        case web.HTTPException():
            return of_http(error)
        case PostriverError():
            return of_error(error, context.config.retry_after_s) or _incident(error)
        case _:
            return _incident(error)


def _incident(error: Exception) -> Problem:
    incident = new_id()
    log.error("incident %s", incident, exc_info=error)
    return Problem(
        500,
        "internal",
        "Internal error; the log has the details under the incident id.",
        incident=incident,
    )


def _abort(request: web.Request, error: Exception) -> ConnectionError:
    """Abort the connection of a partly sent response, so that no client takes it for complete."""
    if not isinstance(error, ConnectionError):
        log.error("response aborted after its headers were sent", exc_info=error)
    if request.transport is not None:
        request.transport.abort()
    return ConnectionResetError("response aborted")


def _count(request: web.Request, status: int, took_s: float) -> None:
    resource = request.match_info.route.resource
    if resource is None:
        method, route = "any", "unmatched"
    else:
        method, route = request.method, resource.canonical
    is_socket = status == HTTPStatus.SWITCHING_PROTOCOLS
    request.app[CONTEXT].metrics.count_response(
        method, route, status, None if is_socket else took_s
    )


async def _add_cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    add_cors_headers(request, response, request.app[CONTEXT].config)


async def _mark_prepared(request: web.Request, response: web.StreamResponse) -> None:
    del response
    request[_PREPARED] = True


async def _close_sockets(app: web.Application) -> None:
    app[CONTEXT].push_connections.end_all()


async def _watch_ended_sessions(app: web.Application) -> AsyncIterator[None]:
    context = app[CONTEXT]
    watch = Periodic(
        "session ends",
        context.ended_sessions.close_sockets,
        interval_s=context.config.session_ends_s,
    )
    watch.start()
    yield
    await watch.stop()


async def _close_authenticator(app: web.Application) -> AsyncIterator[None]:
    yield
    app[CONTEXT].authenticator.close()
