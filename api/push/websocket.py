"""push: a mailbox's changes on a WebSocket, in order, none twice, and after `since` none missing.

Without `since` a socket begins with what happens from now on: with header or cookie when the
handshake is answered, with a token in the first frame when a `ping` after it is answered.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from aiohttp import WSMsgType, hdrs, web

from api.context import AppContext, RequestContext
from api.http.authentication import (
    AuthenticatedUser,
    bearer_of,
    caller_of_hash,
    caller_of_token,
    cookie_of,
    own_origin,
)
from api.http.client_address import CLIENT
from api.problems import Problem, cross_site, feed_gone, too_many, unauthorized
from api.push.event_stream import EventStream
from api.push.frames import ChangeFrame, FolderFrame, LiveFrame
from api.push_connections import (
    POLICY,
    SIGNED_OUT,
    TOO_SLOW,
    TRY_AGAIN_LATER,
    CloseReason,
    SendQueue,
)
from api.rest.parameters import ShortText, query, since_of
from api.route import OpenRoute
from edge.token_bucket import TokenBuckets
from mail.clock import now_ms
from mail.errors import JournalTruncated, Transient


class ClientFrame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frame of the client: first `token`, if not yet authenticated; then `ping`."""

    type: str = "token"
    token: ShortText = ""


_DECODER = msgspec.json.Decoder(ClientFrame)
_WRITER_LIMIT_BYTES = 16 * 1024  # written before a send waits for the peer
_PONG = '{"type":"pong"}'


async def push(call: RequestContext) -> web.StreamResponse:
    """Sign in by header, by cookie, or by the first frame."""
    since = since_of(query(call.request, "since"), call.edge.config)
    ws = _socket(call.edge)
    if not ws.can_prepare(call.request):
        raise Problem(
            426, "upgrade_required", "This is a WebSocket.", headers={"Upgrade": "websocket"}
        )
    caller = await _caller_of_handshake(call)
    if caller is None:
        await _first_frame(call, ws, since)
        return ws
    if not call.edge.sockets.may_open(caller.user.user_id):
        raise too_many("Too many sockets are open.", call.edge.config.retry_after_s)
    async with _subscribed(call.edge, ws, caller, since) as teller:
        try:
            await teller.look()
        except JournalTruncated as gone:
            raise feed_gone() from gone
        await ws.prepare(call.request)
        await _serve(call, ws, caller, teller)
    return ws


def _socket(edge: AppContext) -> web.WebSocketResponse:
    return web.WebSocketResponse(
        timeout=edge.config.socket_goodbye_s,
        heartbeat=edge.config.socket_ping_s,
        max_msg_size=edge.config.socket_message_max_bytes,
        compress=False,
        autoping=False,  # PING frames count as frames, see _listen
        writer_limit=_WRITER_LIMIT_BYTES,
    )


async def _caller_of_handshake(call: RequestContext) -> AuthenticatedUser | None:
    """Who signed in by header or cookie; None when neither is there."""
    config, request = call.edge.config, call.request
    token = bearer_of(request)
    if token is None:
        cookie = cookie_of(request, config)
        if cookie not in request.cookies:
            return None
        if hdrs.ORIGIN not in request.headers or not own_origin(request):
            raise cross_site()
        token = request.cookies[cookie]
    caller = await caller_of_token(call.edge.ports, token, now_ms())
    if caller is None:
        raise unauthorized()
    return caller


async def _first_frame(call: RequestContext, ws: web.WebSocketResponse, since: int | None) -> None:
    edge = call.edge
    with edge.sockets.unsigned(call.request[CLIENT].address):
        await ws.prepare(call.request)
        caller = await _caller_of_frame(edge, ws)
    if caller is None:
        await _close(call, ws, (SIGNED_OUT, "sign in first"))
    elif not edge.sockets.may_open(caller.user.user_id):
        await _close(call, ws, (TRY_AGAIN_LATER, "too many sockets"))
    else:
        async with _subscribed(edge, ws, caller, since) as teller:
            await _serve(call, ws, caller, teller)


async def _caller_of_frame(edge: AppContext, ws: web.WebSocketResponse) -> AuthenticatedUser | None:
    try:
        async with asyncio.timeout(edge.config.socket_token_s):
            message = await ws.receive()
        if message.type is not WSMsgType.TEXT:
            return None
        frame = _DECODER.decode(message.data)
        return await caller_of_token(edge.ports, frame.token, now_ms())
    except (TimeoutError, msgspec.DecodeError, Transient):
        return None


@asynccontextmanager
async def _subscribed(
    edge: AppContext, ws: web.WebSocketResponse, caller: AuthenticatedUser, since: int | None
) -> AsyncIterator[EventStream]:
    config = edge.config
    outbox = SendQueue(config.socket_queue, config.socket_queue_bytes, live=since is None)
    user_id = caller.user.user_id
    edge.sockets.add(outbox, user_id=user_id, token_sha256=caller.session.token_sha256)
    unsubscribe = edge.ports.feed.subscribe(user_id, outbox.sink)
    try:
        yield EventStream(edge, ws, user_id, outbox, since)
    finally:
        unsubscribe()
        edge.sockets.remove(outbox)


async def _serve(
    call: RequestContext, ws: web.WebSocketResponse, caller: AuthenticatedUser, teller: EventStream
) -> None:
    """Until the first of: the client leaves, falls behind, is signed out; or a store is away."""
    _bound_kernel_buffer(call)
    ending = await _first_of(
        teller.tell(),
        _listen(call.edge, ws),
        _check(call.edge, caller),
        _wait(teller.outbox),
    )
    if ending == TOO_SLOW:
        call.edge.metrics.sockets_closed_slow += 1
    await _close(call, ws, ending)


def _bound_kernel_buffer(call: RequestContext) -> None:
    """Else the kernel keeps megabytes for a peer that reads nothing."""
    transport = call.request.transport
    raw = transport.get_extra_info("socket") if transport else None
    if raw is not None:
        size_bytes = call.edge.config.socket_send_buffer_bytes
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)


async def _first_of(*endings: Coroutine[Any, Any, CloseReason]) -> CloseReason:
    tasks = [asyncio.create_task(one) for one in endings]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wait(outbox: SendQueue) -> CloseReason:
    return await outbox.ending


async def _listen(edge: AppContext, ws: web.WebSocketResponse) -> CloseReason:
    """Answer pings, both our JSON ones and PING frames; a client has nothing else to say.

    Every frame counts, as each costs as much as a small request.
    """
    frames = TokenBuckets(edge.config.socket_frames_per_minute, time.monotonic)
    async for message in ws:
        frames.take("", 1)
        if frames.empty_for_s("") > 0:
            return POLICY, "too many frames"
        if message.type is WSMsgType.PING:
            await ws.pong(message.data)
        elif message.type is WSMsgType.PONG:
            continue
        elif message.type is not WSMsgType.TEXT:
            return POLICY, "text only"
        elif not _is_ping(message.data):
            return POLICY, "not understood"
        else:
            await ws.send_str(_PONG)
    return ws.close_code or 1000, ""


def _is_ping(text: str) -> bool:
    try:
        return _DECODER.decode(text).type == "ping"
    except msgspec.DecodeError:
        return False


async def _check(edge: AppContext, caller: AuthenticatedUser) -> CloseReason:
    """A sign-in may end elsewhere: another process, the command line, its own time."""
    while True:
        await asyncio.sleep(edge.config.session_check_s)
        try:
            found = await caller_of_hash(edge.ports, caller.session.token_sha256, now_ms())
        except Transient:
            continue
        if found is None:
            return SIGNED_OUT, "signed out"


async def _close(call: RequestContext, ws: web.WebSocketResponse, ending: CloseReason) -> None:
    """Say why, and do not wait long for one who does not listen: its buffer is thrown away."""
    if ws.closed:
        return
    code, reason = ending
    transport = call.request.transport
    with suppress(ConnectionError):
        await ws.close(code=code, message=reason.encode(), drain=False)
    if transport is not None:
        transport.abort()


ROUTES = (
    OpenRoute(
        method="GET",
        path="/v1/push",
        name="push",
        summary="WebSocket: changes after `since`, then live changes; without `since` only these.",
        handler=push,
        query=("since",),
        frames=(ChangeFrame, FolderFrame, LiveFrame),
        status=101,
        problems=(400, 401, 403, 410, 426, 429, 503),
    ),
)
