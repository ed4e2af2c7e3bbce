"""Pages of other origins (the Fetch standard's CORS): none, but those that a setting names.

They sign in for a token and send it as bearer; our cookie stays with our own page.
"""

from aiohttp import hdrs, web

from api.config import ApiConfig

_METHODS = "GET, HEAD, POST, PATCH, DELETE"
_ASKED = "Authorization, Content-Type, If-Match, If-None-Match"
_TOLD = "ETag, Location, Retry-After, RateLimit, RateLimit-Policy"
_KEPT_S = "600"


def is_allowed(request: web.Request, config: ApiConfig) -> bool:
    """Whether the request is of a page that the operator has named."""
    return request.headers.get(hdrs.ORIGIN, "") in config.cors_origins


def preflight(request: web.Request, config: ApiConfig) -> web.Response | None:
    """The answer to a browser that asks whether a page may; None: it is nothing of the kind."""
    asks = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    if request.method != hdrs.METH_OPTIONS or not asks or not is_allowed(request, config):
        return None
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ASKED,
            hdrs.ACCESS_CONTROL_MAX_AGE: _KEPT_S,
        },
    )


def allow(request: web.Request, response: web.StreamResponse, config: ApiConfig) -> None:
    """What lets the page read the answer; nothing for any other page."""
    if not config.cors_origins:
        return
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)
    if is_allowed(request, config):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _TOLD
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
