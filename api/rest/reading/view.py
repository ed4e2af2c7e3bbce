"""GET /v1/messages/{id}/view: a message as a document of its own, for a sandboxed frame.

The document has its own Content-Security-Policy, so that styles of mail need no exception in the
policy of the page, and it is as dead when its address is opened alone.
"""

from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.http.security_headers import NO_OPENER_POLICY, view_csp
from api.rest.conditional_requests import not_modified
from api.rest.parameters import flag_of, query
from api.rest.reading.images import image_proxy, view_with_images
from api.rest.reading.message import read_message
from api.rest.reading.message_parsing import parse_for_view
from api.route import AuthenticatedRoute
from mail.html.view_document import VERSION

HTML = "text/html"


async def get_view(call: AuthenticatedRequest) -> web.StreamResponse:
    """The document; with `images=true` its remote images are links to our image proxy.

    Raises Problem 409: the proxy is off.
    """
    images = flag_of(query(call.request, "images"), "images") or False
    if images:
        image_proxy(call.context)
    row = await read_message(call)
    etag = f'"{row.content.sha256}.view{VERSION}{".images" if images else ""}"'
    unchanged = not_modified(call.request, etag)
    if unchanged is not None:
        return unchanged
    parse = view_with_images if images else parse_for_view
    document = await parse(call.context, row)
    return web.Response(
        text=document.html,
        content_type=HTML,
        charset="utf-8",
        headers={
            hdrs.ETAG: etag,
            "Content-Security-Policy": view_csp(document.style_sha256),
            **NO_OPENER_POLICY,
        },
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/messages/{id}/view",
        name="view",
        summary="Get a message as an HTML document that runs and loads nothing from elsewhere.",
        handler=get_view,
        query=("images",),
        media_type=HTML,
        problems=(404, 409),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
)
