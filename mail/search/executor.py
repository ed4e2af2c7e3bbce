"""Execute a search: read candidates newest first, check them, and return one page of hits.

Candidates come from the index or from lists (mail/search/candidates.py). A candidate is joined with
its message row, which knows its folders and states; a document without a row is not a hit. A
condition that a row alone cannot decide, such as `is:unread OR invoice`, is reduced by the facts of
the row, and the index decides the remaining condition on texts.

Messages that the index lacks (mail/search/unindexed.py) are decided by the definition of a match,
at the positions that the index will give to them.

One call examines about EXAMINED_MAX candidates at most, within its time budget. A page may
therefore be short or empty although there are more hits: its cursor continues the search.

`total` is exact up to TOTAL_MAX when tokens of the index alone decide the query, and otherwise when
all candidates have been examined. In all other cases `total` is a lower bound.

Order by relevance executes the tiers of mail/query/planner.py in sequence.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from mail.errors import Refused
from mail.pagination import NEWEST, PAGE_MAX, ListPosition, decode_cursor, encode_cursor
from mail.ports import COUNTED_MAX, SearchReader
from mail.query.highlighter import NO_HIGHLIGHTS, HighlightedText, Highlighter
from mail.query.matcher import MessageFacts, facts_of, is_true, matches
from mail.query.narrowing import narrowed, to_verify
from mail.query.planner import IndexQuery, facts_in, plan_of, residual, tiers
from mail.query.time_budget import SearchTimedOut, TimeBudget
from mail.query.tree import EVERYTHING, NOTHING, Node, Query
from mail.search.candidates import (
    CandidateSource,
    IdSource,
    IndexSession,
    IndexSource,
    ListSource,
    MergedSource,
    MessageRows,
    candidate_lists,
    required_ids,
)
from mail.search.unindexed import Unindexed
from schemas.ids import MessageId, UserId
from schemas.mailbox import Message

EXAMINED_MAX = 1_000
TOTAL_MAX = COUNTED_MAX - 1  # exact up to this number
_BATCH = 250
_CURSOR = re.compile(r"([il])([0-2])\.([0-9]{1,9})\.(.+)", re.ASCII)

Order = Literal["date", "relevance"]


class SearchHit(msgspec.Struct, frozen=True):
    row: Message
    highlights: HighlightedText


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """One page of hits. Unless `total_is_exact`, there are `total` hits or more."""

    hits: tuple[SearchHit, ...]
    total: int
    total_is_exact: bool
    next_cursor: str | None
    is_complete: bool = True  # False: the index lacks messages that were not examined


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A query of one user, and the page to return."""

    user_id: UserId
    query: Query
    order: Order = "date"
    limit: int
    cursor: str | None = None
    examined_max: int = EXAMINED_MAX  # candidates
    with_deleted: bool = False  # messages too that are marked as deleted (RFC 9051 §2.3.2)
    unindexed: Unindexed = msgspec.field(default_factory=Unindexed)  # messages to examine as well


async def execute_search(
    index: SearchReader,
    store: MessageRows,
    request: SearchRequest,
    budget: TimeBudget | None = None,
) -> SearchResult:
    """Return one page of hits; the page ends early when `budget` is spent.

    Raises Refused: the limit is not 1 to PAGE_MAX, or the cursor belongs to another search.
    Raises SearchTimedOut: `budget` was spent before any candidate was examined.
    """
    if not 1 <= request.limit <= PAGE_MAX:
        raise Refused(f"limit must be 1 to {PAGE_MAX}")
    session = IndexSession(index, request.user_id, budget or TimeBudget())
    start = _read_cursor(request) if request.cursor is not None else await _start(session, request)
    walk = _CandidateWalk(session, store, request, start)
    found: list[_Match] = []
    while walk.can_continue and (walk.must_count or len(found) <= request.limit):
        found += await walk.next_matches(request.limit + 1 - len(found))
    page, is_cut = found[: request.limit], len(found) > request.limit
    progress = page[-1].progress if is_cut else walk.progress
    progress = msgspec.structs.replace(progress, hits_before=start.hits_before + len(page))
    (total, total_is_exact), hits = await asyncio.gather(
        _total(session, request, walk, start.hits_before + len(found)),
        _hits(index, request, page, walk.highlights),
    )
    return SearchResult(
        hits=hits,
        total=total,
        total_is_exact=total_is_exact,
        next_cursor=_cursor(progress, request) if is_cut or not walk.has_ended else None,
        is_complete=request.unindexed.complete,
    )


class _Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a search between two pages: tier, number of hits, last position examined.

    The index and the lists number positions differently: `in_lists` says which numbering applies.
    """

    in_lists: bool = False
    tier: int = 0
    hits_before: int = 0
    position: ListPosition = NEWEST


class _Match(msgspec.Struct, frozen=True):
    progress: _Progress
    row: Message


class _CandidateWalk:
    """Examines candidates, tier by tier, from a given progress on.

    `must_count`: the index alone does not decide the query, so only examined rows can be counted.
    """

    def __init__(
        self,
        session: IndexSession,
        store: MessageRows,
        request: SearchRequest,
        progress: _Progress,
    ) -> None:
        self._session = session
        self._start = progress
        self._candidates_left = request.examined_max
        self._request = request
        self.progress = progress
        self.highlights: dict[str, HighlightedText] = {}  # by message id, as far as the index said
        self.total: int | None = None  # of the query's matches, if the index has counted them
        self._nodes = nodes = _tiers(request)
        plans = tuple(map(plan_of, nodes))
        self._conditions = (
            nodes if progress.in_lists else tuple(plan.row_condition for plan in plans)
        )
        self._sources = tuple(
            _source(session, store, request, node, condition, in_lists=progress.in_lists)
            for node, condition in zip(nodes, self._conditions, strict=True)
        )
        self.must_count = any(condition is not None for condition in self._conditions)

    @property
    def has_ended(self) -> bool:
        return self.progress.tier == len(self._sources)

    @property
    def can_continue(self) -> bool:
        return not self.has_ended and self._candidates_left > 0

    async def next_matches(self, limit: int) -> list[_Match]:
        """Return the matches in the next batch of candidates.

        When the time budget ends, the walk ends, and the cursor of the page continues it.
        Raises SearchTimedOut: the time budget ends in the first batch.
        """
        try:
            return await self._examine_batch(limit)
        except SearchTimedOut:
            if self.progress == self._start:
                raise
            self._candidates_left = 0
            return []

    async def _examine_batch(self, limit: int) -> list[_Match]:
        progress, condition = self.progress, self._conditions[self.progress.tier]
        node = self._nodes[progress.tier]
        batch_size = limit if condition is None else min(_BATCH, self._candidates_left)
        batch = await self._sources[progress.tier].next_batch(progress.position, batch_size)
        self._candidates_left -= batch.examined
        self.highlights |= batch.highlights
        if len(self._sources) == 1:
            self.total = batch.total
        rows = {row.message_id: row for _, row in batch.rows}
        lacking = {id_: rows.pop(id_) for id_ in self._request.unindexed.rows if id_ in rows}
        matching_ids = await self._matching(condition, rows) | self._by_definition(node, lacking)
        self.progress = (
            msgspec.structs.replace(progress, position=batch.next_position)
            if batch.next_position is not None
            else msgspec.structs.replace(progress, tier=progress.tier + 1, position=NEWEST)
        )
        return [
            _Match(msgspec.structs.replace(progress, position=position), row)
            for position, row in batch.rows
            if row.message_id in matching_ids
        ]

    def _by_definition(self, node: Node, rows: Mapping[MessageId, Message]) -> set[MessageId]:
        """Return the ids of the rows that match `node`; the index lacks all of them."""
        documents = self._request.unindexed.documents
        return {id_ for id_, row in rows.items() if matches(node, documents[id_], self._facts(row))}

    def _facts(self, row: Message) -> MessageFacts:
        return facts_of(row, with_deleted=self._request.with_deleted)

    async def _matching(
        self, condition: Node | None, rows: Mapping[MessageId, Message]
    ) -> set[MessageId]:
        """Return the ids of the rows that fulfil `condition`."""
        if condition is None:
            return set(rows)
        matching_ids: set[MessageId] = set()
        facts = {message_id: self._facts(row) for message_id, row in rows.items()}
        for text, ids in _grouped_by_residual(condition, facts).items():
            if text == EVERYTHING:
                matching_ids.update(ids)
            elif text != NOTHING:
                matching_ids |= await self._session.matching(IndexQuery(text=text), ids)
        return matching_ids


def _source(
    session: IndexSession,
    store: MessageRows,
    request: SearchRequest,
    node: Node,
    condition: Node | None,
    *,
    in_lists: bool,
) -> CandidateSource:
    query = plan_of(node).index_query
    message_ids = required_ids(node)
    if in_lists and message_ids is not None:
        return IdSource(store, session.user_id, message_ids, with_deleted=request.with_deleted)
    lists = candidate_lists(node, query) if in_lists else None
    if lists is not None:
        return ListSource(store, session.user_id, lists)
    source = IndexSource(
        session,
        store,
        query,
        with_deleted=request.with_deleted,
        highlighted=request.query.node if condition is None else None,
    )
    return (
        MergedSource(source, _lacking(session.index, request)) if request.unindexed.rows else source
    )


def _lacking(
    index: SearchReader, request: SearchRequest
) -> tuple[tuple[ListPosition, Message], ...]:
    """Return the messages that the index lacks, at the positions that it will give to them."""
    return tuple(
        (index.position(request.unindexed.documents[id_].document), row)
        for id_, row in request.unindexed.rows.items()
        if request.with_deleted or row.shown_places
    )


async def _start(session: IndexSession, request: SearchRequest) -> _Progress:
    """Begin in lists if the index has more candidates than one call examines.

    Lists lack messages that are marked as deleted. A list of ids is never longer than the index's.
    """
    node = request.query.node
    index_query = plan_of(node).index_query
    if request.order != "date":
        return _Progress()
    if required_ids(node) is not None:
        return _Progress(in_lists=True)
    if request.with_deleted or candidate_lists(node, index_query) is None:
        return _Progress()
    candidates = msgspec.structs.replace(index_query, text=narrowed(index_query.text))
    count = await session.count(candidates, limit=request.examined_max)
    return _Progress(in_lists=count == request.examined_max)


def _grouped_by_residual(
    condition: Node, facts_by_id: Mapping[MessageId, MessageFacts]
) -> dict[Node, list[MessageId]]:
    """Put the facts of each row into `condition`; group message ids by the condition that is left.

    What is left is about texts only. There are few groups, so the index is called few times.
    """
    facts = facts_in(condition)
    ids_by_truth: dict[tuple[bool, ...], list[MessageId]] = {}
    for message_id, row_facts in facts_by_id.items():
        truth = tuple(is_true(fact, row_facts) for fact in facts)
        ids_by_truth.setdefault(truth, []).append(message_id)
    ids_by_residual: dict[Node, list[MessageId]] = {}
    for truth, ids in ids_by_truth.items():
        text = residual(condition, dict(zip(facts, truth, strict=True)))
        ids_by_residual.setdefault(text, []).extend(ids)
    return ids_by_residual


def _tiers(request: SearchRequest) -> tuple[Node, ...]:
    return tiers(request.query.node) if request.order == "relevance" else (request.query.node,)


async def _total(
    session: IndexSession, request: SearchRequest, walk: _CandidateWalk, hits: int
) -> tuple[int, bool]:
    """Return the number of hits, and whether it is exact; `hits` is the number found so far."""
    if walk.must_count or walk.has_ended:
        return hits, walk.has_ended
    index_query = plan_of(request.query.node).index_query
    if to_verify(index_query.text) != EVERYTHING:
        return hits, False
    total = walk.total
    try:
        if total is None:
            total = await session.count(index_query, limit=COUNTED_MAX)
    except SearchTimedOut:
        return hits, False
    is_exact = total <= TOTAL_MAX and not request.unindexed.rows
    return max(hits, min(total, TOTAL_MAX)), is_exact


async def _hits(
    index: SearchReader,
    request: SearchRequest,
    page: list[_Match],
    known: Mapping[str, HighlightedText],
) -> tuple[SearchHit, ...]:
    ids = [match.row.message_id for match in page]
    others = [id_ for id_ in ids if id_ not in known]
    highlights = dict(known)
    if others:
        highlights |= await index.highlight(request.user_id, request.query.node, others)
    highlighter = Highlighter(request.query.node)
    for id_ in (id_ for id_ in ids if id_ in request.unindexed.documents):
        document = request.unindexed.documents[id_].document
        highlights[id_] = highlighter.highlight(document.subject, document.body)
    return tuple(
        SearchHit(match.row, highlights.get(match.row.message_id, NO_HIGHLIGHTS)) for match in page
    )


def _read_cursor(request: SearchRequest) -> _Progress:
    match = _CURSOR.fullmatch(request.cursor or "")
    if not match:
        raise Refused("the cursor cannot be read")
    progress = _Progress(in_lists=match[1] == "l", tier=int(match[2]), hits_before=int(match[3]))
    if progress.tier >= len(_tiers(request)):
        raise Refused("the cursor cannot be read")
    position = decode_cursor(match[4], *_scope(progress, request))
    return msgspec.structs.replace(progress, position=position)


def _cursor(progress: _Progress, request: SearchRequest) -> str:
    source = "l" if progress.in_lists else "i"
    position = encode_cursor(progress.position, *_scope(progress, request))
    return f"{source}{progress.tier}.{progress.hits_before}.{position}"


def _scope(progress: _Progress, request: SearchRequest) -> tuple[str, ...]:
    """The values that a cursor is bound to: with another value for any of them it is refused."""
    walked = f"{progress.in_lists} {progress.tier} {progress.hits_before} {request.with_deleted}"
    return "search", request.user_id, request.query.cursor_scope, request.order, walked
