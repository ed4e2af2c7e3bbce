"""Where an owner is signed in, and who tried to sign in as him."""

from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import not_found
from api.rest.parameters import bad_cursor, cursor_of, limit_of, query
from api.rest.responses import json_answer
from api.rest.session_responses import (
    SessionList,
    SignInList,
    public_id,
    session_info,
    sign_in_info,
)
from mail.errors import Refused
from mail.pagination import NEWEST, decode_cursor, encode_cursor
from schemas.directory import Session

SESSIONS_MAX = 500  # that are listed; more of one user may be open


async def sessions(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    own = call.caller.session.token_sha256
    return json_answer(
        SessionList(sessions=[session_info(row, own_sha256=own) for row in await _sessions(call)])
    )


async def end_session(call: AuthenticatedRequest) -> web.StreamResponse:
    """One of the caller's, his own too; its sockets end with it."""
    query(call.request)
    wanted = call.request.match_info["id"]
    found = next((row for row in await _sessions(call) if public_id(row) == wanted), None)
    if found is None:
        raise not_found()
    await _end(call, found)
    return web.Response(status=204)


async def end_other_sessions(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    own = call.caller.session.token_sha256
    while others := [row for row in await _sessions(call) if row.token_sha256 != own]:
        for row in others:
            await _end(call, row)
    return web.Response(status=204)


async def sign_ins(call: AuthenticatedRequest) -> web.StreamResponse:
    """Newest first."""
    values = query(call.request, "limit", "cursor")
    limit, cursor = limit_of(values, call.edge.config), cursor_of(values, call.edge.config)
    scope = ("sign_ins", call.user_id)
    try:
        before = decode_cursor(cursor, *scope) if cursor is not None else NEWEST
    except Refused as error:
        raise bad_cursor() from error
    rows = await call.edge.ports.sign_ins.sign_ins(call.user_id, limit=limit, before=before)
    last = (rows[-1].at_ms, rows[-1].sign_in_id) if len(rows) == limit else None
    on = None if last is None else encode_cursor(last, *scope)
    return json_answer(SignInList(logins=[sign_in_info(row) for row in rows], next_cursor=on))


async def _sessions(call: AuthenticatedRequest) -> list[Session]:
    return await call.edge.ports.sessions.sessions(call.user_id, limit=SESSIONS_MAX)


async def _end(call: AuthenticatedRequest, row: Session) -> None:
    await call.edge.ports.sessions.end_session(row.token_sha256)
    call.edge.sockets.end_session(row.token_sha256)
