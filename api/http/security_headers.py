"""Security headers of every response: no framing, sniffing, caching or cross-site use."""

from aiohttp import hdrs, web

from api.http.client_address import CLIENT
from api.limits.request_rates import RATES

CSP = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SANDBOX_CSP = f"{CSP}; sandbox"
INLINE_CSP = (  # of a file that our page displays
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
)
NO_OPENER_POLICY = {"Cross-Origin-Opener-Policy": "unsafe-none"}  # HTML refuses it with sandbox


def page_csp(style_sha256: str) -> str:
    """The policy of the webmail's page, whose own style sheet has this hash (base64)."""
    return (
        "default-src 'none'; script-src 'self'; "
        f"style-src 'self' 'sha256-{style_sha256}'; img-src 'self' data: blob:; "
        "connect-src 'self'; frame-src 'self'; worker-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types postriver dompurify"
    )


WORKER_CSP = f"{CSP}; connect-src 'self'"  # of the webmail's service worker


def view_csp(style_sha256: str) -> str:
    """The policy of a view document, whose only style sheet has this hash.

    Scripts are never allowed, and `sandbox` has no `allow-scripts`: the page may read the document
    (`allow-same-origin`), and the document can do nothing.
    """
    return (
        "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox; "
        f"default-src 'none'; style-src 'sha256-{style_sha256}'; img-src 'self'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )


HSTS = "max-age=31536000"  # a year (RFC 6797), without subdomains: they may not be ours
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers before a response is sent; headers that the response has are kept."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.update(request.get(RATES, {}))
    client = request.get(CLIENT)  # absent when aiohttp refuses the request before our middleware
    if client is not None and client.https:
        response.headers["Strict-Transport-Security"] = HSTS
    response.headers.pop(hdrs.SERVER, None)
