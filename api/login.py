"""login, logout, me."""

import asyncio

from aiohttp import hdrs, web

from api.answers import LoggedIn, json_answer
from api.clients import CLIENT
from api.cors import is_allowed
from api.edge import Call, Edge, SignedCall
from api.inputs import Login, query, read_body
from api.problems import cross_site, unavailable, wrong_credentials
from api.sessions import (
    clear_cookie,
    from_own_page,
    new_token,
    set_cookie,
    token_sha256,
)
from mail.addresses import normal_address
from mail.errors import BadAddress
from mail.ids import new_id
from mail.passwords import verify_password
from mail.times import DAY_MS, now_ms, rfc3339
from schemas.records import Session, SignIn, User

USER_AGENT_MAX_CHARS = 200


async def login(call: Call) -> web.StreamResponse:
    """Sign in: the token in the body is for programs, the cookie for browsers."""
    query(call.request)
    if not from_own_page(call.request) and not is_allowed(call.request, call.edge.config):
        raise cross_site()
    asked = await read_body(call.request, Login)
    user = await _known_user(call, asked)
    token, made = _new_session(call, user)
    await call.edge.ports.directory.add_session(made)
    await _note(call, user, "success")
    response = json_answer(LoggedIn(token=token, expires_at=rfc3339(made.expires_at_ms)))
    set_cookie(response, call.request, call.edge.config, token)
    return response


async def _known_user(call: Call, asked: Login) -> User:
    """The user whose password it is; 401 without telling what was wrong, at the same cost."""
    edge = call.edge
    address, client = _normal(asked.address), call.request[CLIENT].address
    named = address or asked.address
    take_back = edge.failed_logins.begin(named, client)
    user = await edge.ports.directory.user_by_address(address) if address else None
    right = await _verify(edge, user.password_hash if user else "", asked.password)
    if user is None or user.disabled or not right:
        await _note(call, user, "failure")
        if edge.failed_logins.is_locked(named, client):
            await _note(call, user, "lockout")
        raise wrong_credentials()
    take_back()
    return user


def _new_session(call: Call, user: User) -> tuple[str, Session]:
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


async def _note(call: Call, user: User | None, outcome: str) -> None:
    """For nobody's address too: else the time would tell which addresses there are."""
    await call.edge.ports.directory.note_sign_in(
        SignIn(
            sign_in_id=new_id(),
            user_id=user.user_id if user else "",
            at_ms=now_ms(),
            outcome=outcome,
            peer=call.request[CLIENT].address,
            user_agent=_user_agent(call),
        )
    )


def _user_agent(call: Call) -> str:
    """Printable and bounded, whatever the client sent."""
    text = call.request.headers.get(hdrs.USER_AGENT, "")[:USER_AGENT_MAX_CHARS]
    return "".join(one for one in text if one.isprintable())


def _normal(address: str) -> str | None:
    try:
        return normal_address(address)
    except BadAddress:
        return None


async def _verify(edge: Edge, password_hash: str, password: str) -> bool:
    """Off the loop; a flood of sign-ins waits in a short queue, the rest is sent away."""
    if len(edge.hashing) >= edge.config.logins_waiting:
        raise unavailable(edge.config.retry_after_s)
    loop = asyncio.get_running_loop()
    checking = loop.run_in_executor(edge.hashers, verify_password, password_hash, password)
    edge.hashing.add(checking)
    checking.add_done_callback(edge.hashing.discard)
    return await checking


async def logout(call: SignedCall) -> web.StreamResponse:
    """End this sign-in, and the sockets opened with it."""
    query(call.request)
    sha256 = call.caller.session.token_sha256
    await call.edge.ports.directory.end_session(sha256)
    call.edge.sockets.end_session(sha256)
    response = web.Response(status=204)
    clear_cookie(response, call.request, call.edge.config)
    return response
