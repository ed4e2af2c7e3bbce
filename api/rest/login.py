"""login and logout."""

from aiohttp import hdrs, web

from api.context import AuthenticatedRequest, RequestContext
from api.http.authentication import (
    clear_cookie,
    device_of,
    from_own_page,
    new_token,
    set_cookie,
    set_device,
    token_sha256,
)
from api.http.client_address import CLIENT
from api.http.cors import is_allowed
from api.http.password_check import is_right
from api.problems import cross_site, wrong_credentials
from api.rest.parameters import Login, query, read_body
from api.rest.responses import LoggedIn, json_answer
from edge.login_limiter import LoginAttempt, LoginRateLimited
from mail.addresses import normal_address
from mail.clock import DAY_MS, now_ms, rfc3339
from mail.errors import BadAddress
from mail.ids import new_id
from schemas.directory import Session, SignIn, User

USER_AGENT_MAX_CHARS = 200


async def login(call: RequestContext) -> web.StreamResponse:
    """Sign in: the token in the body is for programs, the cookie for browsers."""
    query(call.request)
    if not from_own_page(call.request) and not is_allowed(call.request, call.edge.config):
        raise cross_site()
    asked = await read_body(call.request, Login)
    device = device_of(call.request, call.edge.config) or new_token()
    user = await _known_user(call, asked, token_sha256(device))
    token, made = _new_session(call, user)
    await _begin_session(call, user, made)
    await note(call, user, "success", device=token_sha256(device))
    response = json_answer(LoggedIn(token=token, expires_at=rfc3339(made.expires_at_ms)))
    set_cookie(response, call.request, call.edge.config, token)
    set_device(response, call.request, call.edge.config, device)
    return response


async def _known_user(call: RequestContext, asked: Login, device: str) -> User:
    """The user whose password it is; 401 without telling what was wrong, at the same cost."""
    edge, address = call.edge, _normal(asked.address)
    user = await edge.ports.directory.user_by_address(address) if address else None
    one = await edge.sign_ins.candidate(
        address or asked.address, user, peer=call.request[CLIENT].address, device=device
    )
    password_hash = user.password_hash if user and not user.disabled else ""
    if not await is_right(edge, one, password_hash, asked.password) or user is None:
        await note_failure(call, user, one)
        raise wrong_credentials()
    await edge.sign_ins.succeeded(one)
    return user


async def _begin_session(call: RequestContext, user: User, made: Session) -> None:
    """Begin it, unless the password or the user was changed since it was checked. 401."""
    directory = call.edge.ports.directory
    await directory.add_session(made)
    now = await directory.user(user.user_id)
    if now is None or now.disabled or now.password_hash != user.password_hash:
        await directory.end_session(made.token_sha256)
        raise wrong_credentials()


def _new_session(call: RequestContext, user: User) -> tuple[str, Session]:
    token, at_ms = new_token(), now_ms()
    return token, Session(
        token_sha256=token_sha256(token),
        user_id=user.user_id,
        expires_at_ms=at_ms + call.edge.config.session_days * DAY_MS,
        created_at_ms=at_ms,
        used_at_ms=at_ms,
        user_agent=_user_agent(call),
        peer=call.request[CLIENT].address,
    )


async def note_failure(call: RequestContext, user: User | None, one: LoginAttempt) -> None:
    """A wrong password, and that the next try will be refused."""
    await note(call, user, "failure")
    try:
        await call.edge.sign_ins.admit(one)
    except LoginRateLimited:
        await note(call, user, "lockout")


async def note(call: RequestContext, user: User | None, outcome: str, *, device: str = "") -> None:
    """For an address of no user too: else the time would tell which addresses there are."""
    await call.edge.ports.directory.note_sign_in(
        SignIn(
            sign_in_id=new_id(),
            user_id=user.user_id if user else "",
            at_ms=now_ms(),
            outcome=outcome,
            peer=call.request[CLIENT].address,
            user_agent=_user_agent(call),
            device=device,
        )
    )


def _user_agent(call: RequestContext) -> str:
    """Printable and bounded, whatever the client sent."""
    text = call.request.headers.get(hdrs.USER_AGENT, "")[:USER_AGENT_MAX_CHARS]
    return "".join(one for one in text if one.isprintable())


def _normal(address: str) -> str | None:
    try:
        return normal_address(address)
    except BadAddress:
        return None


async def logout(call: AuthenticatedRequest) -> web.StreamResponse:
    """End this sign-in, and the sockets opened with it."""
    query(call.request)
    sha256 = call.caller.session.token_sha256
    await call.edge.ports.directory.end_session(sha256)
    call.edge.sockets.end_session(sha256)
    response = web.Response(status=204)
    clear_cookie(response, call.request, call.edge.config)
    return response
