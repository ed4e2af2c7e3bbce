"""CORS (Fetch standard): only origins that `cors_origins` names may use the API from a page.

Such a page logs in for a token and sends it as bearer; the cookie is restricted to our own page.
"""

from aiohttp import hdrs, web

from api.config import ApiConfig

_METHODS = "GET, HEAD, POST, PATCH, DELETE"
_REQUEST_HEADERS = "Authorization, Content-Type, If-Match, If-None-Match"
_RESPONSE_HEADERS = "ETag, Location, Retry-After, RateLimit, RateLimit-Policy"
_MAX_AGE_S = "600"


def is_allowed(request: web.Request, config: ApiConfig) -> bool:
    """Whether the operator has allowed the origin of the request."""
    return request.headers.get(hdrs.ORIGIN, "") in config.cors_origins


def preflight(request: web.Request, config: ApiConfig) -> web.Response | None:
    """The response to a preflight request of an allowed origin; None for any other request."""
    has_method = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    if request.method != hdrs.METH_OPTIONS or not has_method or not is_allowed(request, config):
        return None
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _REQUEST_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: _MAX_AGE_S,
        },
    )


def add_cors_headers(request: web.Request, response: web.StreamResponse, config: ApiConfig) -> None:
    """Add the headers that let a page of an allowed origin read the response."""
    if not config.cors_origins:
        return
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)
    if is_allowed(request, config):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _RESPONSE_HEADERS
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
