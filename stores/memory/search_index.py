"""SearchIndex in memory: for tests, and the definition of what a search means put to work."""

from collections.abc import Iterable, Sequence

from mail.errors import StoreUnavailable
from mail.pagination import NEWEST, ListPosition
from mail.ports import IndexMatches
from mail.query.highlighter import HighlightedText, Highlighter
from mail.query.matcher import FieldTokens, document_facts, field_tokens, matches
from mail.query.planner import IndexQuery, node_of
from mail.query.time_budget import TimeBudget
from mail.query.tree import Node
from schemas.search import IndexDocument


class MemorySearchIndex:
    """Nothing survives the process. While `down` is set, every call raises StoreUnavailable.

    `slow_s`: what a search would take by the clock.
    """

    def __init__(self) -> None:
        self.down = False
        self.slow_s = 0.0
        self.lost: set[str] = set()  # users that are unfilled
        self._documents: dict[tuple[str, str], tuple[IndexDocument, FieldTokens]] = {}

    async def add(self, document: IndexDocument) -> None:
        self._check()
        key = document.user_id, document.message_id
        self._documents[key] = document, field_tokens(document)

    async def remove(self, user_id: str, message_id: str) -> None:
        self._check()
        self._documents.pop((user_id, message_id), None)

    async def find(
        self,
        user_id: str,
        query: IndexQuery,
        *,
        limit: int,
        before: ListPosition = NEWEST,
        budget: TimeBudget | None = None,
    ) -> IndexMatches:
        self._check(budget)
        found = sorted(place for place in self._matches(user_id, query) if place < before)
        return IndexMatches(found[::-1][:limit], has_more=len(found) > limit)

    async def matching(
        self,
        user_id: str,
        query: IndexQuery,
        message_ids: Sequence[str],
        *,
        budget: TimeBudget | None = None,
    ) -> set[str]:
        self._check(budget)
        return {one for _, one in self._matches(user_id, query)}.intersection(message_ids)

    async def count(
        self, user_id: str, query: IndexQuery, *, limit: int, budget: TimeBudget | None = None
    ) -> int:
        self._check(budget)
        return min(limit, sum(1 for _ in self._matches(user_id, query)))

    async def highlight(
        self, user_id: str, node: Node, message_ids: Sequence[str]
    ) -> dict[str, HighlightedText]:
        self._check()
        highlighter = Highlighter(node)
        asked = [(user_id, message_id) for message_id in message_ids]
        held = [self._documents[key][0] for key in asked if key in self._documents]
        return {one.message_id: highlighter.highlight(one.subject, one.body) for one in held}

    async def indexed(self, user_id: str, message_ids: Sequence[str]) -> set[str]:
        self._check()
        return {one for one in message_ids if (user_id, one) in self._documents}

    async def clear(self, user_id: str) -> None:
        self._check()
        self.lost.add(user_id)
        for key in [key for key in self._documents if key[0] == user_id]:
            del self._documents[key]

    async def unfilled(self) -> list[str]:
        self._check()
        return sorted(self.lost)

    async def mark_filled(self, user_id: str) -> None:
        self._check()
        self.lost.discard(user_id)

    async def close(self) -> None:
        """Nothing is held."""

    def _matches(self, user_id: str, query: IndexQuery) -> Iterable[ListPosition]:
        node = node_of(query)
        for document, texts in self._documents.values():
            if document.user_id == user_id and matches(node, texts, document_facts(document)):
                yield document.received_at_ms, document.message_id

    def _check(self, budget: TimeBudget | None = None) -> None:
        if self.down:
            raise StoreUnavailable("search", "down")
        if budget is not None:
            budget.spend(self.slow_s)
            budget.check()
