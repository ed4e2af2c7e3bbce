"""A search carried out: candidates joined with message rows, whose flags and folders count.

The index finds candidates, or lists do (mail/search/candidates.py), newest first; rows say the
rest. No row, no hit. What a row alone cannot decide, such as `is:unread OR invoice`, is decided by
asking the index about this row with the facts put in. One call looks at about EXAMINED_MAX
candidates at most, and for as long as its patience lasts: a page may then be short, or empty, and
its cursor goes on from there.
`total` is exact up to TOTAL_MAX when the index alone decides, and else when all candidates have
been looked at; otherwise it is the least that there are.
By relevance the same is done for each tier of mail/query/planner.py in turn.
"""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from mail.errors import Refused
from mail.pagination import NEWEST, PAGE_MAX, ListPosition, decode_cursor, encode_cursor
from mail.ports import SearchIndex
from mail.query.highlighter import NOTHING_MARKED, HighlightedText
from mail.query.matcher import facts_of, is_true
from mail.query.planner import IndexQuery, facts_in, plan_of, residual, tiers
from mail.query.time_budget import SearchTimedOut, TimeBudget
from mail.query.tree import EVERYTHING, NOTHING, Node, Query
from mail.search.candidates import (
    IndexSession,
    IndexSource,
    ListSource,
    MessageRows,
    Source,
    listing_of,
)
from schemas.mailbox import Message

EXAMINED_MAX = 1_000
TOTAL_MAX = 1_000  # counting on costs as much as finding, and tells a person nothing more
_BATCH = 250
_CURSOR = re.compile(r"([il])([0-2])\.([0-9]{1,9})\.(.+)", re.ASCII)

Order = Literal["date", "relevance"]


class SearchHit(msgspec.Struct, frozen=True):
    row: Message
    marked: HighlightedText


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """A page. Without `total_is_exact` there are `total` hits or more."""

    hits: tuple[SearchHit, ...]
    total: int
    total_is_exact: bool
    next_cursor: str | None


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of which search."""

    user_id: str
    query: Query
    order: Order = "date"
    limit: int
    cursor: str | None = None
    examined_max: int = EXAMINED_MAX  # candidates


async def search(
    index: SearchIndex, store: MessageRows, wish: SearchRequest, patience: TimeBudget | None = None
) -> SearchResult:
    """Refused: a cursor that this search did not give. 1 <= limit <= 500.

    When `patience` ends the page does: SearchTimedOut when that is before anything was looked at.
    """
    if not 1 <= wish.limit <= PAGE_MAX:
        raise Refused(f"limit must be 1 to {PAGE_MAX}")
    asked = IndexSession(index, wish.user_id, patience or TimeBudget())
    start = _read_cursor(wish) if wish.cursor is not None else await _first_spot(asked, wish)
    walk = _ResultWalk(asked, store, wish, start)
    matches: list[_Match] = []
    while walk.goes_on and (walk.counts or len(matches) <= wish.limit):
        matches += await walk.step(wish.limit + 1 - len(matches))
    page, is_cut = matches[: wish.limit], len(matches) > wish.limit
    spot = page[-1].spot if is_cut else walk.spot
    spot = msgspec.structs.replace(spot, seen=start.seen + len(page))
    total, total_is_exact = await _total(asked, wish, walk, start.seen + len(matches))
    return SearchResult(
        hits=await _hits(index, wish, page),
        total=total,
        total_is_exact=total_is_exact,
        next_cursor=_cursor(spot, wish) if is_cut or not walk.has_ended else None,
    )


class _Spot(msgspec.Struct, frozen=True, kw_only=True):
    """How far a search has gone: the tier, the hits so far, the last place looked at.

    A place is one of the index, or with `in_lists` one of lists: they number them differently.
    """

    in_lists: bool = False
    tier: int = 0
    seen: int = 0
    place: ListPosition = NEWEST


class _Match(msgspec.Struct, frozen=True):
    spot: _Spot
    row: Message


class _ResultWalk:
    """Goes through the candidates, tier by tier."""

    def __init__(
        self, asked: IndexSession, store: MessageRows, wish: SearchRequest, spot: _Spot
    ) -> None:
        self._asked = asked
        self._start = spot
        self._left = wish.examined_max
        self.spot = spot
        nodes = _tiers(wish)
        plans = tuple(map(plan_of, nodes))
        self._rests = nodes if spot.in_lists else tuple(plan.rest for plan in plans)
        self._sources = tuple(
            _source(asked, store, node, plan.wanted, in_lists=spot.in_lists)
            for node, plan in zip(nodes, plans, strict=True)
        )
        self.counts = any(rest is not None for rest in self._rests)  # as rows alone can

    @property
    def has_ended(self) -> bool:
        return self.spot.tier == len(self._sources)

    @property
    def goes_on(self) -> bool:
        return not self.has_ended and self._left > 0

    async def step(self, missing: int) -> list[_Match]:
        """Return the matches among the next candidates.

        Raises SearchTimedOut: the time budget ends at the first candidates.
        """
        try:
            return await self._step(missing)
        except SearchTimedOut:
            if self.spot == self._start:
                raise
            self._left = 0  # the page ends here, and its cursor goes on
            return []

    async def _step(self, missing: int) -> list[_Match]:
        here, rest = self.spot, self._rests[self.spot.tier]
        most = missing if rest is None else min(_BATCH, self._left)
        found = await self._sources[here.tier].following(here.place, most)
        self._left -= found.examined
        kept = await self._kept(rest, [row for _, row in found.rows])
        self.spot = (
            msgspec.structs.replace(here, place=found.on)
            if found.on is not None
            else msgspec.structs.replace(here, tier=here.tier + 1, place=NEWEST)
        )
        return [
            _Match(msgspec.structs.replace(here, place=place), row)
            for place, row in found.rows
            if row.message_id in kept
        ]

    async def _kept(self, rest: Node | None, rows: list[Message]) -> set[str]:
        """Ids of the rows of which `rest` is true."""
        if rest is None:
            return {row.message_id for row in rows}
        kept: set[str] = set()
        for open_, ids in _sorted_by_residual(rest, rows).items():
            if open_ == EVERYTHING:
                kept.update(ids)
            elif open_ != NOTHING:
                kept |= await self._asked.among(IndexQuery(text=open_), ids)
        return kept


def _source(
    asked: IndexSession, store: MessageRows, node: Node, wanted: IndexQuery, *, in_lists: bool
) -> Source:
    listing = listing_of(node, wanted) if in_lists else None
    if listing is not None:
        return ListSource(store, asked.user_id, listing)
    return IndexSource(asked, store, wanted)


async def _first_spot(asked: IndexSession, wish: SearchRequest) -> _Spot:
    """In lists, where the index would have more candidates than one call looks at."""
    wanted = plan_of(wish.query.node).wanted
    if wish.order != "date" or listing_of(wish.query.node, wanted) is None:
        return _Spot()
    count = await asked.count(wanted, limit=wish.examined_max)
    return _Spot(in_lists=count == wish.examined_max)


def _sorted_by_residual(rest: Node, rows: Iterable[Message]) -> dict[Node, list[str]]:
    """What is left to ask of rows when their facts are put into `rest`, and of which rows."""
    facts = facts_in(rest)
    by_truth: dict[tuple[bool, ...], list[str]] = {}
    for row in rows:
        true = facts_of(row)
        by_truth.setdefault(tuple(is_true(one, true) for one in facts), []).append(row.message_id)
    found: dict[Node, list[str]] = {}
    for truth, ids in by_truth.items():
        open_ = residual(rest, dict(zip(facts, truth, strict=True)))
        found.setdefault(open_, []).extend(ids)
    return found


def _tiers(wish: SearchRequest) -> tuple[Node, ...]:
    return tiers(wish.query.node) if wish.order == "relevance" else (wish.query.node,)


async def _total(
    asked: IndexSession, wish: SearchRequest, walk: _ResultWalk, seen: int
) -> tuple[int, bool]:
    if walk.counts or walk.has_ended:
        return seen, walk.has_ended
    wanted = plan_of(wish.query.node).wanted
    try:
        total = await asked.count(wanted, limit=TOTAL_MAX + 1)
    except SearchTimedOut:
        return seen, False
    return min(total, TOTAL_MAX), total <= TOTAL_MAX


async def _hits(
    index: SearchIndex, wish: SearchRequest, page: list[_Match]
) -> tuple[SearchHit, ...]:
    ids = [match.row.message_id for match in page]
    marks = await index.mark(wish.user_id, wish.query.node, ids) if ids else {}
    return tuple(
        SearchHit(match.row, marks.get(match.row.message_id, NOTHING_MARKED)) for match in page
    )


def _read_cursor(wish: SearchRequest) -> _Spot:
    found = _CURSOR.fullmatch(wish.cursor or "")
    if not found:
        raise Refused("the cursor cannot be read")
    spot = _Spot(in_lists=found[1] == "l", tier=int(found[2]), seen=int(found[3]))
    if spot.tier >= len(_tiers(wish)):
        raise Refused("the cursor cannot be read")
    return msgspec.structs.replace(spot, place=decode_cursor(found[4], *_scope(spot, wish)))


def _cursor(spot: _Spot, wish: SearchRequest) -> str:
    way = "l" if spot.in_lists else "i"
    place = encode_cursor(spot.place, *_scope(spot, wish))
    return f"{way}{spot.tier}.{spot.seen}.{place}"


def _scope(spot: _Spot, wish: SearchRequest) -> tuple[str, ...]:
    """What a cursor belongs to: it cannot be used with any of it changed."""
    walked = f"{spot.in_lists} {spot.tier} {spot.seen}"
    return "search", wish.user_id, wish.query.asked, wish.order, walked
