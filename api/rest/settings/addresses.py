"""/v1/addresses: addresses that the caller exchanged mail with, for completion."""

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import bad_request
from api.rest.parameters import limit_of, query
from api.rest.responses import Timestamp, json_response
from api.route import AuthenticatedRoute
from mail.clock import rfc3339
from schemas.correspondents import Correspondent

PATH = "/v1/addresses"
PREFIX_MAX_CHARS = 128


class CorrespondentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`written_to`, `received`: messages, with those that are destroyed by now."""

    name: str
    address: str
    written_to: int
    received: int
    last_at: Timestamp


class CorrespondentList(msgspec.Struct, frozen=True, kw_only=True):
    """Most frequent recipients first, then the newest."""

    addresses: list[CorrespondentInfo]


async def list_addresses(call: AuthenticatedRequest) -> web.StreamResponse:
    values = query(call.request, "q", "limit")
    prefix, limit = values.get("q", ""), limit_of(values, call.context.config)
    if not 1 <= len(prefix) <= PREFIX_MAX_CHARS:
        raise bad_request("bad_q", f"1 to {PREFIX_MAX_CHARS} characters.", "query:q")
    rows = await call.context.ports.store.correspondents(call.user_id, prefix, limit=limit)
    return json_response(CorrespondentList(addresses=[correspondent_info(row) for row in rows]))


def correspondent_info(row: Correspondent) -> CorrespondentInfo:
    return CorrespondentInfo(
        name=row.name,
        address=row.address,
        written_to=row.sent,
        received=row.received,
        last_at=rfc3339(row.last_ms),
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path=PATH,
        name="addresses",
        summary="Find addresses that the caller exchanged mail with, by name or address.",
        handler=list_addresses,
        query=("q", "limit"),
        response=CorrespondentList,
    ),
)
