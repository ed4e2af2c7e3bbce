"""Sign-ins: a random token whose SHA-256 alone is stored, as bearer (RFC 6750) or cookie.

A cookie is sent by a browser whoever made the request, so with a cookie the browser's own word
about where the request comes from is checked (Fetch Metadata, Origin of RFC 6454).
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from api.config import ApiConfig
from api.http.client_address import CLIENT
from api.ports import ApiPorts
from api.problems import cross_site, unauthorized
from mail.clock import DAY_MS
from schemas.directory import Session, User

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_SAFE = {hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS}
SIGN_INS_KEPT_MS = 90 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatedUser:
    """Who asks, and by which sign-in."""

    user: User
    session: Session


def new_token() -> str:
    """256 random bits, 43 characters."""
    return secrets.token_urlsafe(32)


def token_sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def caller_of_token(ports: ApiPorts, token: str, now_ms: int) -> AuthenticatedUser | None:
    """Who signed in with `token`; None when nobody, no longer, or the user is disabled."""
    if not _TOKEN.fullmatch(token):
        return None
    return await caller_of_hash(ports, token_sha256(token), now_ms)


async def caller_of_hash(ports: ApiPorts, sha256: str, now_ms: int) -> AuthenticatedUser | None:
    session = await ports.sessions.session(sha256)
    if session is None or session.expires_at_ms <= now_ms:
        return None
    user = await ports.users.user(session.user_id)
    return None if user is None or user.disabled else AuthenticatedUser(user=user, session=session)


def bearer_of(request: web.Request) -> str | None:
    """The bearer token; "" when there is an Authorization header of another kind."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def authenticate(
    request: web.Request, config: ApiConfig, ports: ApiPorts, now_ms: int
) -> AuthenticatedUser:
    """The caller, by Authorization header or else by cookie. 401; 403 from another site's page."""
    token = bearer_of(request)
    if token is None:
        token = request.cookies.get(cookie_of(request, config), "")
        if request.method not in _SAFE and not from_own_page(request):
            raise cross_site()
    caller = await caller_of_token(ports, token, now_ms)
    if caller is None:
        raise unauthorized()
    if now_ms - caller.session.used_at_ms >= config.session_use_s * 1000:
        await ports.sessions.use_session(caller.session.token_sha256, at_ms=now_ms)
    return caller


def from_own_page(request: web.Request) -> bool:
    """Whether the browser says so. `same-site` is not enough: other ports are of the same site.

    Without either header the request is no browser's, and nobody was tricked into it.
    """
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site is not None and fetch_site not in {"same-origin", "none"}:
        return False
    return hdrs.ORIGIN not in request.headers or own_origin(request)


def own_origin(request: web.Request) -> bool:
    """Whether Origin names the host that was asked for, and HTTPS when that was asked for.

    A plain request may be of an HTTPS page: its proxy is perhaps not one that we are told of.
    """
    try:
        origin = urlsplit(request.headers.get(hdrs.ORIGIN, ""))
    except ValueError:
        return False
    schemes = {"https"} if request[CLIENT].https else {"http", "https"}
    return origin.scheme in schemes and origin.netloc == request.host


def cookie_of(request: web.Request, config: ApiConfig) -> str:
    return config.cookie(https=request[CLIENT].https)


def set_cookie(
    response: web.StreamResponse, request: web.Request, config: ApiConfig, token: str
) -> None:
    response.set_cookie(
        cookie_of(request, config),
        token,
        max_age=config.session_days * DAY_MS // 1000,
        path="/",
        httponly=True,
        secure=request[CLIENT].https,
        samesite="Strict",
    )


def device_of(request: web.Request, config: ApiConfig) -> str | None:
    """The token of the browser, by which we know it again at a sign-in; it signs nobody in."""
    token = request.cookies.get(_device_cookie(request, config), "")
    return token if _TOKEN.fullmatch(token) else None


def set_device(
    response: web.StreamResponse, request: web.Request, config: ApiConfig, device: str
) -> None:
    """It outlives the session: see edge/login_limiter.py."""
    response.set_cookie(
        _device_cookie(request, config),
        device,
        max_age=SIGN_INS_KEPT_MS // 1000,
        path="/",
        httponly=True,
        secure=request[CLIENT].https,
        samesite="Strict",
    )


def _device_cookie(request: web.Request, config: ApiConfig) -> str:
    return f"{cookie_of(request, config)}_device"


def clear_cookie(response: web.StreamResponse, request: web.Request, config: ApiConfig) -> None:
    response.del_cookie(
        cookie_of(request, config),
        path="/",
        httponly=True,
        secure=request[CLIENT].https,
        samesite="Strict",
    )
