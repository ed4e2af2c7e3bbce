"""/v1/sessions and /v1/me/logins: the caller's sessions and login attempts."""

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import not_found
from api.rest.parameters import bad_cursor, cursor_of, limit_of, query
from api.rest.responses import Timestamp, json_response, optional_timestamp
from api.route import AuthenticatedRoute
from mail.clock import rfc3339
from mail.errors import Refused
from mail.pagination import NEWEST, decode_cursor, encode_cursor
from schemas.directory import Session, SignIn

SESSIONS_MAX = 500  # listed at once; a user may have more
_ID_CHARS = 32  # 128 bits of the token's hash identify a session and do not authenticate


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`current` marks the session of this request. User agent and peer are those of the login."""

    id: str
    current: bool
    created_at: Timestamp | None  # null: begun by a version that did not record the time
    last_used_at: Timestamp | None  # to within five minutes
    expires_at: Timestamp
    user_agent: str
    peer: str


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first."""

    sessions: list[SessionInfo]


class UsedAppPassword(msgspec.Struct, frozen=True, kw_only=True):
    """An application password at the time of the attempt; it may be revoked since."""

    id: str
    name: str


class SignInInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome`: success, failure, or lockout: a failure after which attempts are refused.

    Repeated sign-ins of a mail program are listed once an hour.
    """

    at: Timestamp
    outcome: str
    peer: str
    user_agent: str
    protocol: str | None  # null: recorded by a version that did not record the protocol
    app_password: UsedAppPassword | None  # null: by the account's password, or a wrong password
    missing_scope: str | None  # of a failure with an application password that lacks this scope


class SignInList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first."""

    logins: list[SignInInfo]
    next_cursor: str | None


async def list_sessions(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    own = call.caller.session.token_sha256
    sessions = [_session_info(row, own_sha256=own) for row in await _read_sessions(call)]
    return json_response(SessionList(sessions=sessions))


async def end_session(call: AuthenticatedRequest) -> web.StreamResponse:
    """End one of the caller's sessions, which may be the current one, and close its sockets."""
    query(call.request)
    session_id = call.request.match_info["id"]
    for row in await _read_sessions(call):
        if _public_id(row) == session_id:
            await _end(call, row)
            return web.Response(status=204)
    raise not_found()


async def end_other_sessions(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    own = call.caller.session.token_sha256
    while others := [row for row in await _read_sessions(call) if row.token_sha256 != own]:
        for row in others:
            await _end(call, row)
    return web.Response(status=204)


async def list_login_attempts(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of attempts to log in as the caller, newest first."""
    values = query(call.request, "limit", "cursor")
    limit, cursor = limit_of(values, call.context.config), cursor_of(values, call.context.config)
    scope = ("sign_ins", call.user_id)
    try:
        before = decode_cursor(cursor, *scope) if cursor is not None else NEWEST
    except Refused as error:
        raise bad_cursor() from error
    rows = await call.context.ports.sign_ins.sign_ins(call.user_id, limit=limit, before=before)
    last = (rows[-1].at_ms, rows[-1].sign_in_id) if len(rows) == limit else None
    next_cursor = None if last is None else encode_cursor(last, *scope)
    logins = [_sign_in_info(row) for row in rows]
    return json_response(SignInList(logins=logins, next_cursor=next_cursor))


async def _read_sessions(call: AuthenticatedRequest) -> list[Session]:
    return await call.context.ports.sessions.sessions(call.user_id, limit=SESSIONS_MAX)


async def _end(call: AuthenticatedRequest, row: Session) -> None:
    await call.context.ports.sessions.end_session(row.token_sha256)
    call.context.push_connections.end_session(row.token_sha256)


def _public_id(row: Session) -> str:
    return row.token_sha256[:_ID_CHARS]


def _session_info(row: Session, *, own_sha256: str) -> SessionInfo:
    return SessionInfo(
        id=_public_id(row),
        current=row.token_sha256 == own_sha256,
        created_at=optional_timestamp(row.created_at_ms),
        last_used_at=optional_timestamp(row.used_at_ms),
        expires_at=rfc3339(row.expires_at_ms),
        user_agent=row.user_agent,
        peer=row.peer,
    )


def _sign_in_info(row: SignIn) -> SignInInfo:
    used = UsedAppPassword(id=row.app_password_id, name=row.app_password_name)
    return SignInInfo(
        at=rfc3339(row.at_ms),
        outcome=row.outcome,
        peer=row.peer,
        user_agent=row.user_agent,
        protocol=row.protocol or None,
        app_password=used if row.app_password_id else None,
        missing_scope=row.missing_scope or None,
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/me/logins",
        name="logins",
        summary="List attempts of the last 90 days to log in as the caller, with their outcomes.",
        handler=list_login_attempts,
        query=("limit", "cursor"),
        response=SignInList,
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/sessions",
        name="sessions",
        summary="List the caller's sessions.",
        handler=list_sessions,
        response=SessionList,
    ),
    AuthenticatedRoute(
        method="DELETE",
        path="/v1/sessions",
        name="end_other_sessions",
        summary="End all sessions except the current one, and close their sockets.",
        handler=end_other_sessions,
        status=204,
        problems=(403,),
    ),
    AuthenticatedRoute(
        method="DELETE",
        path="/v1/sessions/{id}",
        name="end_session",
        summary="End one session and close its sockets.",
        handler=end_session,
        status=204,
        problems=(403, 404),
    ),
)
