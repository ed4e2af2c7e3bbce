"""GET /v1/search: parse `q` (mail/query/parser.py), then execute it (mail/search/executor.py)."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from api.context import AuthenticatedRequest
from api.rest.parameters import (
    bad_cursor,
    cursor_of,
    flag_of,
    limit_of,
    order_of,
    query,
    zone_of,
)
from api.rest.responses import MessageSummary, json_response, summary_fields
from api.rest.threads import ThreadSummary, thread_summary
from api.route import AuthenticatedRoute
from mail.clock import now_ms
from mail.errors import Refused
from mail.query.fields import folder_ids_by_name
from mail.query.parser import may_name_folder, parse
from mail.query.terms import QueryTerm
from mail.query.tree import Query, QueryContext
from mail.search.executor import SearchHit, SearchRequest, SearchResult, execute_search
from schemas.conversations import ALL_MAIL, Conversation
from schemas.ids import FolderId, MessageId, ThreadId

_PARAMETERS = ("q", "order", "tz", "limit", "cursor", "threads")


class Highlights(msgspec.Struct, frozen=True, kw_only=True):
    """HTML that is safe to show, with matches in <mark> (RFC 8621 §5); null: no match."""

    subject: str | None
    preview: str | None


class FoundMessage(MessageSummary, frozen=True, kw_only=True):
    highlights: Highlights


class FoundThread(ThreadSummary, frozen=True, kw_only=True):
    """A conversation with hits on this page, as in all mail, or else as in a folder with a hit.

    `hit_ids` are these hits, in the order of the page; `highlights` are those of the first.
    """

    hit_ids: list[MessageId]
    highlights: Highlights


class SearchPage(msgspec.Struct, frozen=True, kw_only=True):
    """`total` is the number of hits, or a lower bound if `total_is_exact` is false.

    Not `is_complete`: the index lacks new messages, too many for this search to read. `terms` are
    the parts of `q`, all of which must match. With `threads=true` the hits are in `threads` instead
    of `messages`, each conversation at its first hit of the page.
    """

    messages: list[FoundMessage]
    threads: list[FoundThread] | UnsetType = UNSET
    terms: list[QueryTerm]
    total: int
    total_is_exact: bool
    is_complete: bool
    next_cursor: str | None


async def search(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of hits. BadQuery passes through: it becomes a problem with the error's position."""
    config = call.context.config
    values = query(call.request, *_PARAMETERS)
    by_thread = flag_of(values, "threads") or False
    request = SearchRequest(
        user_id=call.user_id,
        query=await parsed_query(call, values.get("q", ""), zone_of(values)),
        order=order_of(values),
        limit=limit_of(values, config),
        cursor=cursor_of(values, config),
    )
    result = await run_search(call, request)
    return json_response(
        SearchPage(
            messages=[] if by_thread else [_result(hit) for hit in result.hits],
            threads=await _found_threads(call, result.hits) if by_thread else UNSET,
            terms=list(request.query.terms),
            total=result.total,
            total_is_exact=result.total_is_exact,
            is_complete=result.is_complete,
            next_cursor=result.next_cursor,
        )
    )


async def parsed_query(call: AuthenticatedRequest, text: str, zone: tzinfo) -> Query:
    """The query of the caller. Raises BadQuery."""
    store = call.context.ports.store
    folders = await store.folders(call.user_id) if may_name_folder(text) else ()
    context = QueryContext(now_ms=now_ms(), zone=zone, folders=folder_ids_by_name(folders))
    return parse(text, context)


async def run_search(call: AuthenticatedRequest, request: SearchRequest) -> SearchResult:
    """A page of hits, in the turn of the caller. Raises Problem: 400 for the cursor; 429."""
    ports = call.context.ports
    try:
        async with call.context.search_time.turn(call.user_id) as budget:
            unindexed = await call.context.unindexed.read(call.user_id, budget)
            request = msgspec.structs.replace(request, unindexed=unindexed)
            return await execute_search(ports.search, ports.store, request, budget)
    except Refused as error:
        raise bad_cursor() from error


def _result(hit: SearchHit) -> FoundMessage:
    return FoundMessage(**summary_fields(hit.row), highlights=_highlights(hit))


def _highlights(hit: SearchHit) -> Highlights:
    return Highlights(subject=hit.highlights.subject, preview=hit.highlights.preview)


async def _found_threads(
    call: AuthenticatedRequest, hits: Sequence[SearchHit]
) -> list[FoundThread]:
    """The conversations of the hits; one that has left all lists meanwhile is left out."""
    by_thread: dict[ThreadId, list[SearchHit]] = {}
    for hit in hits:
        by_thread.setdefault(hit.row.thread_id, []).append(hit)
    found = await call.context.ports.store.thread_lists(call.user_id, list(by_thread))
    return [
        _found_thread(_shown(found.lists[thread_id], of_thread), found.seq, of_thread)
        for thread_id, of_thread in by_thread.items()
        if thread_id in found.lists
    ]


def _shown(lists: Mapping[FolderId, Conversation], hits: Sequence[SearchHit]) -> Conversation:
    """The conversation in all mail, else in a folder of a hit, else in any that shows it."""
    folder_ids = (ALL_MAIL, *(id_ for hit in hits for id_ in hit.row.shown_places), *lists)
    return next(lists[id_] for id_ in folder_ids if id_ in lists)


def _found_thread(row: Conversation, seq: int, hits: Sequence[SearchHit]) -> FoundThread:
    summary = thread_summary(row, seq)
    fields = {name: getattr(summary, name) for name in ThreadSummary.__struct_fields__}
    hit_ids = [hit.row.message_id for hit in hits]
    return FoundThread(**fields, hit_ids=hit_ids, highlights=_highlights(hits[0]))


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/search",
        name="search",
        summary="Search messages, by date or relevance. A page may have fewer than `limit`.",
        handler=search,
        query=_PARAMETERS,
        response=SearchPage,
    ),
)
