"""A search carried out: hits of the index joined with message rows, whose flags and folders count.

The index finds candidates, newest first; rows say the rest. No row, no hit. What a row alone
cannot decide, such as `is:unread OR invoice`, is decided by asking the index about this row with
the facts put in. At most EXAMINED_MAX candidates are looked at in one call: a page may then be
short, or empty, and its cursor goes on from there.
`total` is exact up to TOTAL_MAX when the index alone decides, and else when all candidates have
been looked at; otherwise it is the least that there are.
By relevance the same is done for each tier of mail/query_plan.py in turn.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from mail.cursors import NEWEST, PAGE_MAX, Place, decode_cursor, encode_cursor
from mail.errors import Refused
from mail.highlights import NOTHING_MARKED, Marked
from mail.ports import SearchIndex
from mail.query import EVERYTHING, NOTHING, Node, Query
from mail.query_match import facts_of, is_true
from mail.query_plan import Plan, Wanted, facts_in, plan_of, residual, tiers
from schemas.mailbox import Message

EXAMINED_MAX = 1_000
TOTAL_MAX = 10_000
_BATCH = 250
_CURSOR = re.compile(r"([0-2])\.([0-9]{1,9})\.(.+)", re.ASCII)

Order = Literal["date", "relevance"]


class Rows(Protocol):
    """What a search needs of MailStore."""

    async def messages(self, user_id: str, message_ids: Sequence[str]) -> dict[str, Message]: ...


class Hit(msgspec.Struct, frozen=True):
    row: Message
    marked: Marked


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page. Without `total_is_exact` there are `total` hits or more."""

    hits: tuple[Hit, ...]
    total: int
    total_is_exact: bool
    next_cursor: str | None


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of which search."""

    user_id: str
    query: Query
    order: Order = "date"
    limit: int
    cursor: str | None = None


async def search(index: SearchIndex, store: Rows, wish: Wish) -> Found:
    """Refused: a cursor that this search did not give. 1 <= limit <= 500."""
    if not 1 <= wish.limit <= PAGE_MAX:
        raise Refused(f"limit must be 1 to {PAGE_MAX}")
    start = _start(wish)
    walk = _Walk(index, store, wish, start)
    matches: list[_Match] = []
    while walk.goes_on and (walk.counts or len(matches) <= wish.limit):
        matches += await walk.step(wish.limit + 1 - len(matches))
    page, is_cut = matches[: wish.limit], len(matches) > wish.limit
    spot = _Spot(tier=page[-1].tier, place=page[-1].place) if is_cut else walk.spot
    total, total_is_exact = await _total(index, wish, walk, start.seen + len(matches))
    return Found(
        hits=await _hits(index, wish, page),
        total=total,
        total_is_exact=total_is_exact,
        next_cursor=(
            _cursor(spot, start.seen + len(page), wish) if is_cut or not walk.has_ended else None
        ),
    )


class _Spot(msgspec.Struct, frozen=True, kw_only=True):
    """How far a search has gone: the tier, the hits so far, the last place looked at."""

    tier: int = 0
    seen: int = 0
    place: Place = NEWEST


class _Match(msgspec.Struct, frozen=True):
    tier: int
    place: Place
    row: Message


class _Walk:
    """Goes through the candidates, tier by tier."""

    def __init__(self, index: SearchIndex, store: Rows, wish: Wish, spot: _Spot) -> None:
        self._index = index
        self._store = store
        self._user_id = wish.user_id
        self._plans = tuple(map(plan_of, _tiers(wish)))
        self._examined = 0
        self.spot = spot
        self.counts = any(plan.rest is not None for plan in self._plans)  # as rows alone can

    @property
    def has_ended(self) -> bool:
        return self.spot.tier == len(self._plans)

    @property
    def goes_on(self) -> bool:
        return not self.has_ended and self._examined < EXAMINED_MAX

    async def step(self, missing: int) -> list[_Match]:
        """The matches among the next candidates."""
        tier, plan = self.spot.tier, self._plans[self.spot.tier]
        most = missing if plan.rest is None else _BATCH
        places = await self._index.find(
            self._user_id, plan.wanted, limit=most, before=self.spot.place
        )
        self._examined += len(places)
        self.spot = (
            msgspec.structs.replace(self.spot, place=places[-1])
            if len(places) == most
            else msgspec.structs.replace(self.spot, tier=tier + 1, place=NEWEST)
        )
        rows = await self._store.messages(self._user_id, [id_ for _, id_ in places])
        kept = await self._kept(plan, rows)
        return [_Match(tier, place, rows[place[1]]) for place in places if place[1] in kept]

    async def _kept(self, plan: Plan, rows: dict[str, Message]) -> set[str]:
        """Ids of the rows of which the plan's rest is true."""
        if plan.rest is None:
            return set(rows)
        kept: set[str] = set()
        for open_, ids in _sorted_by_residual(plan.rest, rows.values()).items():
            if open_ == EVERYTHING:
                kept.update(ids)
            elif open_ != NOTHING:
                kept |= await self._index.among(self._user_id, Wanted(text=open_), ids)
        return kept


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


def _tiers(wish: Wish) -> tuple[Node, ...]:
    return tiers(wish.query.node) if wish.order == "relevance" else (wish.query.node,)


async def _total(index: SearchIndex, wish: Wish, walk: _Walk, seen: int) -> tuple[int, bool]:
    if walk.counts or walk.has_ended:
        return seen, walk.has_ended
    wanted = plan_of(wish.query.node).wanted
    total = await index.count(wish.user_id, wanted, limit=TOTAL_MAX + 1)
    return min(total, TOTAL_MAX), total <= TOTAL_MAX


async def _hits(index: SearchIndex, wish: Wish, page: list[_Match]) -> tuple[Hit, ...]:
    ids = [match.row.message_id for match in page]
    marks = await index.mark(wish.user_id, wish.query.node, ids) if ids else {}
    return tuple(Hit(match.row, marks.get(match.row.message_id, NOTHING_MARKED)) for match in page)


def _start(wish: Wish) -> _Spot:
    if wish.cursor is None:
        return _Spot()
    found = _CURSOR.fullmatch(wish.cursor)
    if not found:
        raise Refused("the cursor cannot be read")
    tier, seen = int(found[1]), int(found[2])
    place = decode_cursor(found[3], *_scope(wish, tier, seen))
    return _Spot(tier=tier, seen=seen, place=place)


def _cursor(spot: _Spot, seen: int, wish: Wish) -> str:
    return f"{spot.tier}.{seen}.{encode_cursor(spot.place, *_scope(wish, spot.tier, seen))}"


def _scope(wish: Wish, tier: int, seen: int) -> tuple[str, ...]:
    return "search", wish.user_id, wish.query.asked, wish.order, str(tier), str(seen)
