"""Search: the words read (mail/query/parser.py), then carried out (mail/search/executor.py)."""

from aiohttp import web

from api.context import AuthenticatedRequest
from api.rest.parameters import bad_cursor, cursor_of, limit_of, order_of, query, zone_in
from api.rest.responses import FoundMessage, Highlights, SearchPage, json_answer, shared_of, summary
from mail.clock import now_ms
from mail.errors import Refused
from mail.query.fields import folder_ids_by_name
from mail.query.parser import parse
from mail.query.tree import QueryContext
from mail.search.executor import SearchHit, SearchRequest, execute_search


async def search(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of hits. BadQuery goes on to become a problem that points at the place."""
    config, ports = call.edge.config, call.edge.ports
    values = query(call.request, "q", "order", "tz", "limit", "cursor")
    folders = await ports.store.folders(call.user_id)
    context = QueryContext(
        now_ms=now_ms(), zone=zone_in(values), folders=folder_ids_by_name(folders)
    )
    request = SearchRequest(
        user_id=call.user_id,
        query=parse(values.get("q", ""), context),
        order=order_of(values),
        limit=limit_of(values, config),
        cursor=cursor_of(values, config),
    )
    try:
        async with call.edge.searches.turn(call.user_id) as budget:
            result = await execute_search(ports.search, ports.store, request, budget)
    except Refused as error:
        raise bad_cursor() from error
    return json_answer(
        SearchPage(
            messages=[_found(hit) for hit in result.hits],
            total=result.total,
            total_is_exact=result.total_is_exact,
            next_cursor=result.next_cursor,
        )
    )


def _found(hit: SearchHit) -> FoundMessage:
    highlights = Highlights(subject=hit.highlights.subject, preview=hit.highlights.preview)
    return FoundMessage(**shared_of(summary(hit.row)), highlights=highlights)
