"""Authentication by session token, sent as bearer (RFC 6750) or cookie.

Browsers attach a cookie to requests that other sites' pages cause. So a request with a cookie that
changes something must come from our own page (Fetch Metadata, Origin of RFC 6454).
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from api.config import ApiConfig
from api.http.client_address import CLIENT
from api.ports import ApiPorts
from api.problems import cross_site, unauthorized
from edge.sign_in.session_tokens import is_token, token_sha256
from mail.clock import DAY_MS
from schemas.directory import Session, User

_SAFE_METHODS = {hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS}
SIGN_INS_KEPT_MS = 90 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatedUser:
    """The user of a request, and the session that authenticates it."""

    user: User
    session: Session


async def caller_of_token(ports: ApiPorts, token: str, now_ms: int) -> AuthenticatedUser | None:
    """The user of `token`; None: unknown or expired session, or disabled user."""
    if not is_token(token):
        return None
    return await caller_of_hash(ports, token_sha256(token), now_ms)


async def caller_of_hash(ports: ApiPorts, sha256: str, now_ms: int) -> AuthenticatedUser | None:
    found = await ports.sessions.session_and_user(sha256)
    if found is None:
        return None
    session, user = found
    if session.expires_at_ms <= now_ms or user.disabled:
        return None
    return AuthenticatedUser(user=user, session=session)


def bearer_of(request: web.Request) -> str | None:
    """The bearer token; None without Authorization, "" for another scheme."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def authenticate(
    request: web.Request, config: ApiConfig, ports: ApiPorts, now_ms: int
) -> AuthenticatedUser:
    """The user, by Authorization header or else by cookie; records the last use of the session.

    Raises Problem: 401 without a valid session; 403 for a cookie sent by another site's page.
    """
    token = bearer_of(request)
    if token is None:
        token = request.cookies.get(cookie_of(request, config), "")
        if request.method not in _SAFE_METHODS and not from_own_page(request):
            raise cross_site()
    caller = await caller_of_token(ports, token, now_ms)
    if caller is None:
        raise unauthorized()
    if now_ms - caller.session.used_at_ms >= config.session_use_s * 1000:
        await ports.sessions.use_session(caller.session.token_sha256, at_ms=now_ms)
    return caller


def from_own_page(request: web.Request) -> bool:
    """Whether Sec-Fetch-Site and Origin, where present, name our own origin.

    `same-site` is refused: other ports of the host are the same site. A request without both
    headers is not from a browser, so no page can have caused it.
    """
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site is not None and fetch_site not in {"same-origin", "none"}:
        return False
    return hdrs.ORIGIN not in request.headers or own_origin(request)


def own_origin(request: web.Request) -> bool:
    """Whether Origin has the host of the request, and HTTPS if the request came by HTTPS.

    An HTTP request may have an HTTPS origin: TLS may end at a proxy that is not configured as
    trusted.
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
    response: web.StreamResponse,
    request: web.Request,
    config: ApiConfig,
    token: str,
    *,
    remember: bool,
) -> None:
    """Set the session cookie; without `remember` it ends with the browser (RFC 6265 §4.1.2)."""
    response.set_cookie(
        cookie_of(request, config),
        token,
        max_age=config.session_days * DAY_MS // 1000 if remember else None,
        path="/",
        httponly=True,
        secure=request[CLIENT].https,
        samesite="Strict",
    )


def device_of(request: web.Request, config: ApiConfig) -> str | None:
    """The device token of the browser, which recognizes it at a login and authenticates nothing."""
    token = request.cookies.get(_device_cookie(request, config), "")
    return token if is_token(token) else None


def set_device(
    response: web.StreamResponse, request: web.Request, config: ApiConfig, device: str
) -> None:
    """Set the device token; it outlives the session, see edge/sign_in/login_limiter.py."""
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
