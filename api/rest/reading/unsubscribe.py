"""POST /v1/messages/{id}/unsubscribe: leave the list of a mail by one request (RFC 8058)."""

import logging
from urllib.parse import urlsplit

from aiohttp import web

from api.context import AuthenticatedRequest
from api.http.one_click import UnsubscribeFailed
from api.problems import Problem, too_many
from api.rest.parameters import query
from api.rest.reading.message import read_message
from api.rest.reading.message_parsing import parse_for_display
from api.route import AuthenticatedRoute
from mail.mime.list_unsubscribe import unsubscribe_offer

log = logging.getLogger(__name__)


async def unsubscribe(call: AuthenticatedRequest) -> web.StreamResponse:
    """204: the server of the sender accepted the request.

    Raises Problem 409: the mail does not offer it, or requests to other servers are off. 502: the
    server of the sender did not accept it. 429: too many in a minute.
    """
    query(call.request)
    context, client = call.context, call.context.ports.one_click
    row = await read_message(call)
    offer = unsubscribe_offer((await parse_for_display(context, row)).headers)
    if offer is None or offer.url is None or not offer.one_click:
        raise Problem(409, "no_one_click", "The mail does not offer it.")
    if client is None:
        raise Problem(409, "outbound_off", "This server sends nothing to other servers.")
    wait_s = context.unsubscribe_rates.try_take(call.user_id)
    if wait_s:
        raise too_many("Too many unsubscriptions in a minute.", wait_s)
    log.info("user %s unsubscribes at %s", call.user_id, urlsplit(offer.url).hostname)
    try:
        await client.unsubscribe(offer.url)
    except UnsubscribeFailed as failure:
        raise Problem(502, "unsubscribe_failed", str(failure)) from None
    return web.Response(status=204)


ROUTES = (
    AuthenticatedRoute(
        method="POST",
        path="/v1/messages/{id}/unsubscribe",
        name="unsubscribe",
        summary="Leave the list of a mail that offers one-click unsubscription.",
        handler=unsubscribe,
        status=204,
        problems=(403, 404, 409, 502),
    ),
)
