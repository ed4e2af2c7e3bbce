"""POST /v1/login, /v1/me/confirm and /v1/logout: begin, renew and end a session."""

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest, RequestContext
from api.http.authentication import (
    bearer_of,
    clear_cookie,
    device_of,
    from_own_page,
    set_cookie,
    set_device,
)
from api.http.client_address import login_client
from api.http.cors import is_allowed
from api.problems import cross_site, unauthorized, wrong_password
from api.rest.parameters import ShortText, query, read_body
from api.rest.responses import Timestamp, json_response
from api.route import AuthenticatedRoute, OpenRoute
from edge.sign_in.authenticator import SignedIn, WrongCredentials
from edge.sign_in.login_client import LoginClient
from edge.sign_in.session_tokens import new_token, token_sha256
from mail.clock import DAY_MS, now_ms, rfc3339
from schemas.directory import Session, User

SHORT_SESSION_DAYS = 1  # of a session that the browser does not remember


class LoginRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`remember` false: the cookie ends with the browser, and the session after a day."""

    address: ShortText
    password: ShortText
    remember: bool = True


class Confirmation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account's password, of a user who is signed in."""

    password: ShortText


class LoginResponse(msgspec.Struct, frozen=True, kw_only=True):
    token: str
    expires_at: Timestamp


async def login(call: RequestContext) -> web.StreamResponse:
    """Begin a session; programs use the token of the body, browsers the cookie.

    An application password begins no session: it could read and change what it has no scope for.
    Raises Problem 403: a page of another site sent the request.
    """
    query(call.request)
    if not from_own_page(call.request) and not is_allowed(call.request, call.context.config):
        raise cross_site()
    body = await read_body(call.request, LoginRequest)
    device = device_of(call.request, call.context.config) or new_token()
    client = login_client(call.request, device=token_sha256(device))
    signed_in = await call.context.authenticator.authenticate(
        body.address, body.password, client, scope="account"
    )
    token, session = _new_session(call, signed_in.user, client, remember=body.remember)
    await _begin_session(call, signed_in, session)
    response = json_response(LoginResponse(token=token, expires_at=rfc3339(session.expires_at_ms)))
    set_cookie(response, call.request, call.context.config, token, remember=body.remember)
    set_device(response, call.request, call.context.config, device)
    return response


async def _begin_session(call: RequestContext, signed_in: SignedIn, session: Session) -> None:
    """Store the session; end it if the password or the user has changed since the check.

    A change of password ends the sessions that are stored, so the check follows the storing.
    Raises WrongCredentials.
    """
    sessions = call.context.ports.sessions
    await sessions.add_session(session)
    if not await call.context.authenticator.is_current(signed_in):
        await sessions.end_session(session.token_sha256)
        raise WrongCredentials


def _new_session(
    call: RequestContext, user: User, client: LoginClient, *, remember: bool
) -> tuple[str, Session]:
    """A new token, and the session to store for it."""
    token, at_ms = new_token(), now_ms()
    days = call.context.config.session_days if remember else SHORT_SESSION_DAYS
    return token, Session(
        token_sha256=token_sha256(token),
        user_id=user.user_id,
        expires_at_ms=at_ms + days * DAY_MS,
        created_at_ms=at_ms,
        used_at_ms=at_ms,
        user_agent=client.user_agent,
        peer=client.peer,
    )


async def confirm(call: AuthenticatedRequest) -> web.StreamResponse:
    """Replace the current session by a new one with the same end, given the password.

    The old token is void, and its sockets are closed: a copy of it does not become a recent
    sign-in. Raises Problem 403: the password is wrong.
    """
    query(call.request)
    body = await read_body(call.request, Confirmation)
    context, old, client = call.context, call.caller.session, login_client(call.request)
    try:
        await context.authenticator.confirm(
            call.caller.user, body.password, client, session_sha256=old.token_sha256
        )
    except WrongCredentials:
        raise wrong_password() from None
    is_remembered = old.expires_at_ms - old.created_at_ms > SHORT_SESSION_DAYS * DAY_MS
    token, new = _new_session(call, call.caller.user, client, remember=is_remembered)
    new = msgspec.structs.replace(new, expires_at_ms=old.expires_at_ms)
    await context.ports.sessions.add_session(new)
    if await context.ports.sessions.session(old.token_sha256) is None:  # ended meanwhile
        await context.ports.sessions.end_session(new.token_sha256)
        raise unauthorized()
    await context.ports.sessions.end_session(old.token_sha256)
    context.push_connections.end_session(old.token_sha256)
    response = json_response(LoginResponse(token=token, expires_at=rfc3339(new.expires_at_ms)))
    if bearer_of(call.request) is None:
        set_cookie(response, call.request, context.config, token, remember=is_remembered)
    return response


async def logout(call: AuthenticatedRequest) -> web.StreamResponse:
    """End the current session, and close the sockets that it opened."""
    query(call.request)
    sha256 = call.caller.session.token_sha256
    await call.context.ports.sessions.end_session(sha256)
    call.context.push_connections.end_session(sha256)
    response = web.Response(status=204)
    clear_cookie(response, call.request, call.context.config)
    return response


ROUTES = (
    OpenRoute(
        method="POST",
        path="/v1/login",
        name="login",
        summary="Log in. The response has a token for programs and a cookie for browsers.",
        handler=login,
        body=LoginRequest,
        response=LoginResponse,
        problems=(400, 401, 403, 413, 415, 429, 503),
    ),
    AuthenticatedRoute(
        method="POST",
        path="/v1/me/confirm",
        name="confirm",
        summary="Confirm the password. The response has a token that replaces the current one.",
        handler=confirm,
        body=Confirmation,
        response=LoginResponse,
        problems=(403, 408, 413, 415),
    ),
    AuthenticatedRoute(
        method="POST",
        path="/v1/logout",
        name="logout",
        summary="End the current session and close its sockets.",
        handler=logout,
        status=204,
        problems=(403,),
    ),
)
