"""GET /v1/push: a WebSocket with the changes of the caller's mailbox, in order, without repeats.

With `since` no change after it is missing. Without `since` the socket has the changes from a moment
on: authenticated by header or cookie, from the handshake response; by a token in the first frame,
from the response to a `ping` sent after it.
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
from api.push.event_stream import EventStream, StreamRequest
from api.push.frames import (
    ChangeFrame,
    FolderFrame,
    LiveFrame,
    SettingsFrame,
    SubmissionFrame,
    ThreadFrame,
)
from api.push.status_watch import AdminStatusFrame, StatusWatch
from api.push_connections import (
    POLICY,
    SIGNED_OUT,
    TOO_SLOW,
    TRY_AGAIN_LATER,
    CloseReason,
    SendQueue,
)
from api.rest.parameters import ShortText, flag_of, query, since_of
from api.route import OpenRoute
from edge.token_bucket import TokenBuckets
from mail.clock import now_ms
from mail.errors import JournalTruncated, Transient


class ClientFrame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frame of the client: first `token`, unless authenticated; `ping`, answered by `pong`.

    `watch`: `what` is watched from now on, and nothing else.
    """

    type: str = "token"
    token: ShortText = ""
    what: tuple[ShortText, ...] = ()


_DECODER = msgspec.json.Decoder(ClientFrame)
_WRITER_LIMIT_BYTES = 16 * 1024  # buffered before a send waits for the client
_PONG = '{"type":"pong"}'


async def push(call: RequestContext) -> web.StreamResponse:
    """Authenticate by header, by cookie, or by the first frame; then serve the socket."""
    values = query(call.request, "since", "threads")
    asked = StreamRequest(
        since=since_of(values, call.context.config),
        with_threads=flag_of(values, "threads") or False,
    )
    ws = _socket(call.context)
    if not ws.can_prepare(call.request):
        raise Problem(
            426, "upgrade_required", "This is a WebSocket.", headers={"Upgrade": "websocket"}
        )
    caller = await _caller_of_handshake(call)
    if caller is None:
        await _serve_after_token(call, ws, asked)
        return ws
    if not call.context.push_connections.may_open(caller.user.user_id):
        raise too_many("Too many open sockets.", call.context.config.retry_after_s)
    async with _subscribed(call.context, ws, caller, asked) as stream:
        try:
            await stream.read_first_steps()
        except JournalTruncated as error:
            raise feed_gone() from error
        await ws.prepare(call.request)
        await _serve(call, ws, caller, stream)
    return ws


def _socket(context: AppContext) -> web.WebSocketResponse:
    return web.WebSocketResponse(
        timeout=context.config.socket_goodbye_s,
        heartbeat=context.config.socket_ping_s,
        max_msg_size=context.config.socket_message_max_bytes,
        compress=False,
        autoping=False,  # PING frames count as frames, see _listen
        writer_limit=_WRITER_LIMIT_BYTES,
    )


async def _caller_of_handshake(call: RequestContext) -> AuthenticatedUser | None:
    """The user by header or cookie; None if the request has neither.

    Raises Problem: 401 without a valid session; 403 for a cookie sent by another site's page.
    """
    config, request = call.context.config, call.request
    token = bearer_of(request)
    if token is None:
        cookie = cookie_of(request, config)
        if cookie not in request.cookies:
            return None
        if hdrs.ORIGIN not in request.headers or not own_origin(request):
            raise cross_site()
        token = request.cookies[cookie]
    caller = await caller_of_token(call.context.ports, token, now_ms())
    if caller is None:
        raise unauthorized()
    return caller


async def _serve_after_token(
    call: RequestContext, ws: web.WebSocketResponse, asked: StreamRequest
) -> None:
    """Complete the handshake, authenticate by the first frame, then serve the socket."""
    context = call.context
    with context.push_connections.unsigned(call.request[CLIENT].address):
        await ws.prepare(call.request)
        caller = await _caller_of_frame(context, ws)
    if caller is None:
        await _close(call, ws, (SIGNED_OUT, "sign in first"))
    elif not context.push_connections.may_open(caller.user.user_id):
        await _close(call, ws, (TRY_AGAIN_LATER, "too many sockets"))
    else:
        async with _subscribed(context, ws, caller, asked) as stream:
            await _serve(call, ws, caller, stream)


async def _caller_of_frame(
    context: AppContext, ws: web.WebSocketResponse
) -> AuthenticatedUser | None:
    try:
        async with asyncio.timeout(context.config.socket_token_s):
            message = await ws.receive()
        if message.type is not WSMsgType.TEXT:
            return None
        frame = _DECODER.decode(message.data)
        return await caller_of_token(context.ports, frame.token, now_ms())
    except (TimeoutError, msgspec.DecodeError, Transient):
        return None


@asynccontextmanager
async def _subscribed(
    context: AppContext,
    ws: web.WebSocketResponse,
    caller: AuthenticatedUser,
    asked: StreamRequest,
) -> AsyncIterator[EventStream]:
    config = context.config
    queue = SendQueue(config.socket_queue, config.socket_queue_bytes, live=asked.since is None)
    user_id = caller.user.user_id
    context.push_connections.add(queue, user_id=user_id, token_sha256=caller.session.token_sha256)
    unsubscribe = context.ports.feed.subscribe(user_id, queue.sink)
    try:
        yield EventStream(context, ws, user_id, queue, asked)
    finally:
        unsubscribe()
        context.push_connections.remove(queue)


async def _serve(
    call: RequestContext, ws: web.WebSocketResponse, caller: AuthenticatedUser, stream: EventStream
) -> None:
    """Serve until the client leaves or falls behind, the session ends, or a store fails."""
    _bound_kernel_buffer(call)
    context, user_id = call.context, caller.user.user_id
    watch = StatusWatch(context.status_reports, context.ports.users, user_id, ws.send_str)
    ending = await _first_of(
        stream.run(),
        watch.run(),
        _listen(context, ws, watch),
        _check_session(call.context, caller),
        _wait_for_end(stream.queue),
    )
    if ending == TOO_SLOW:
        call.context.metrics.sockets_closed_slow += 1
    await _close(call, ws, ending)


def _bound_kernel_buffer(call: RequestContext) -> None:
    """Limit the kernel's send buffer, which otherwise takes megabytes for a client that stalls."""
    transport = call.request.transport
    raw = transport.get_extra_info("socket") if transport else None
    if raw is not None:
        size_bytes = call.context.config.socket_send_buffer_bytes
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)


async def _first_of(*endings: Coroutine[Any, Any, CloseReason]) -> CloseReason:
    tasks = [asyncio.create_task(ending) for ending in endings]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wait_for_end(queue: SendQueue) -> CloseReason:
    return await queue.ending


async def _listen(
    context: AppContext, ws: web.WebSocketResponse, watch: StatusWatch
) -> CloseReason:
    """Answer JSON pings and PING frames, take orders to watch; else a violation (close code 1008).

    Every frame is counted: its cost is that of a small request.
    """
    frames = TokenBuckets(context.config.socket_frames_per_minute, time.monotonic)
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
        elif (frame := _frame_of(message.data)).type == "ping":
            await ws.send_str(_PONG)
        elif frame.type != "watch" or not watch.want(frame.what):
            return POLICY, "unknown frame"
    return ws.close_code or 1000, ""


def _frame_of(text: str) -> ClientFrame:
    try:
        return _DECODER.decode(text)
    except msgspec.DecodeError:
        return ClientFrame(type="unknown")


async def _check_session(context: AppContext, caller: AuthenticatedUser) -> CloseReason:
    """Poll the session every `session_check_s`; return when it has ended."""
    while True:
        await asyncio.sleep(context.config.session_check_s)
        try:
            current = await caller_of_hash(context.ports, caller.session.token_sha256, now_ms())
        except Transient:
            continue
        if current is None:
            return SIGNED_OUT, "signed out"


async def _close(call: RequestContext, ws: web.WebSocketResponse, ending: CloseReason) -> None:
    """Send a close frame, wait at most `socket_goodbye_s` for the reply, discard unsent data."""
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
        query=("since", "threads"),
        frames=(
            ChangeFrame,
            ThreadFrame,
            FolderFrame,
            SettingsFrame,
            SubmissionFrame,
            LiveFrame,
            AdminStatusFrame,
        ),
        status=101,
        problems=(400, 401, 403, 410, 426, 429, 503),
    ),
)
