"""GET /v1/messages/{id}/images/{n}: a remote image of a mail, fetched by this service.

The URL is one of a mail that the caller owns, so the service fetches nothing else, and needs no
signed address. The browser keeps an image for a week: opening a mail again asks its sender for
nothing.
"""

import logging

from aiohttp import hdrs, web

from api.context import AppContext, AuthenticatedRequest
from api.http.image_proxy import ImageFailed, ImageProxy, RemoteImage
from api.http.paced_response import send, whole
from api.http.security_headers import INLINE_CSP, NO_OPENER_POLICY
from api.problems import Problem, not_found, too_many, unavailable
from api.rest.parameters import attachment_number_of, query
from api.rest.reading.message import read_message
from api.rest.reading.message_parsing import parse_for_view
from api.route import AuthenticatedRoute
from edge.fair_turns import QueueFull
from mail.html.view_document import ViewDocument
from schemas.mailbox import Message

log = logging.getLogger(__name__)
IMAGE = "image/*"
KEPT = "private, max-age=604800, immutable"  # a week


async def get_image(call: AuthenticatedRequest) -> web.StreamResponse:
    """Raises Problem 404: no such image. 409: the proxy is off. 502: it was not delivered."""
    query(call.request)
    proxy, n = image_proxy(call.context), attachment_number_of(call.request)
    urls = await _remote_images(call.context, await read_message(call))
    if not 1 <= n <= len(urls):
        raise not_found()
    wait_s = call.context.image_rates.try_take(call.user_id)
    if wait_s:
        raise too_many("Too many images in a minute.", wait_s)
    image = await _fetched(call, proxy, urls[n - 1])
    with call.context.download_slots.slot(call.user_id, len(image.octets)):
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: image.content_type,
                hdrs.CONTENT_LENGTH: str(len(image.octets)),
                hdrs.CONTENT_DISPOSITION: "inline",
                hdrs.CACHE_CONTROL: KEPT,
                "Content-Security-Policy": INLINE_CSP,
                **NO_OPENER_POLICY,
            }
        )
        return await send(call.request, response, whole(image.octets), call.context.config)


def image_proxy(context: AppContext) -> ImageProxy:
    """Raises Problem 409: the operator has not switched the proxy on."""
    if context.ports.images is None:
        raise Problem(409, "images_off", "This server does not load remote images.")
    return context.ports.images


async def view_with_images(context: AppContext, row: Message) -> ViewDocument:
    """The view document with links to the images; remembers their URLs for `get_image`."""
    document = await parse_for_view(context, row, remote_images=True)
    context.image_urls.add(row.content.sha256, document.remote_images)
    return document


async def _remote_images(context: AppContext, row: Message) -> tuple[str, ...]:
    known = context.image_urls.get(row.content.sha256)
    return (await view_with_images(context, row)).remote_images if known is None else known


async def _fetched(call: AuthenticatedRequest, proxy: ImageProxy, url: str) -> RemoteImage:
    """Raises Problem 502: the server of the image delivers none. 503: too many requests wait."""
    try:
        async with call.context.image_turns.turn(call.user_id):
            return await proxy.fetch(url)
    except ImageFailed as failure:
        raise Problem(502, "image_failed", str(failure)) from None
    except QueueFull:
        raise unavailable(call.context.config.retry_after_s) from None


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/messages/{id}/images/{n}",
        name="image",
        summary="Get a remote image of a message through the image proxy, if it is on.",
        handler=get_image,
        media_type=IMAGE,
        problems=(404, 409, 502),
    ),
)
