"""SearchIndex in memory, for tests: applies the definition of matches in mail/query/matcher.py."""

from collections.abc import Iterable, Sequence

from mail.errors import StoreUnavailable
from mail.pagination import NEWEST, ListPosition
from mail.ports import IndexMatches
from mail.query.highlighter import HighlightedText, Highlighter
from mail.query.matcher import FieldTokens, document_facts, field_tokens, matches
from mail.query.planner import IndexQuery, node_of
from mail.query.time_budget import TimeBudget
from mail.query.tree import Node
from schemas.ids import MessageId, UserId
from schemas.search import IndexDocument


class MemorySearchIndex:
    """SearchIndex of one process. While `down` is set, every call raises StoreUnavailable.

    `slow_s`: time that each search spends from its budget.
    """

    def __init__(self) -> None:
        self.down = False
        self.slow_s = 0.0
        self.lost: set[UserId] = set()  # unfilled users
        self._documents: dict[tuple[str, str], tuple[IndexDocument, FieldTokens]] = {}

    async def add(self, document: IndexDocument) -> None:
        self._check()
        key = document.user_id, document.message_id
        self._documents[key] = document, field_tokens(document)

    async def remove(self, user_id: UserId, message_id: MessageId) -> None:
        self._check()
        self._documents.pop((user_id, message_id), None)

    async def find(
        self,
        user_id: UserId,
        query: IndexQuery,
        *,
        limit: int,
        before: ListPosition = NEWEST,
        budget: TimeBudget | None = None,
    ) -> IndexMatches:
        self._check(budget)
        positions = sorted(match for match in self._matches(user_id, query) if match < before)
        return IndexMatches(positions[::-1][:limit], has_more=len(positions) > limit)

    async def matching(
        self,
        user_id: UserId,
        query: IndexQuery,
        message_ids: Sequence[MessageId],
        *,
        budget: TimeBudget | None = None,
    ) -> set[MessageId]:
        self._check(budget)
        matching_ids = {id_ for _, id_ in self._matches(user_id, query)}
        return {message_id for message_id in message_ids if message_id in matching_ids}

    async def count(
        self, user_id: UserId, query: IndexQuery, *, limit: int, budget: TimeBudget | None = None
    ) -> int:
        self._check(budget)
        return min(limit, sum(1 for _ in self._matches(user_id, query)))

    async def highlight(
        self, user_id: UserId, node: Node, message_ids: Sequence[MessageId]
    ) -> dict[str, HighlightedText]:
        self._check()
        highlighter = Highlighter(node)
        keys = [(user_id, message_id) for message_id in message_ids]
        documents = [self._documents[key][0] for key in keys if key in self._documents]
        return {row.message_id: highlighter.highlight(row.subject, row.body) for row in documents}

    async def indexed(self, user_id: UserId, message_ids: Sequence[MessageId]) -> set[str]:
        self._check()
        return {id_ for id_ in message_ids if (user_id, id_) in self._documents}

    async def clear(self, user_id: UserId) -> None:
        self._check()
        self.lost.add(user_id)
        for key in [key for key in self._documents if key[0] == user_id]:
            del self._documents[key]

    async def unfilled(self) -> list[UserId]:
        self._check()
        return sorted(self.lost)

    async def mark_filled(self, user_id: UserId) -> None:
        self._check()
        self.lost.discard(user_id)

    async def close(self) -> None:
        """Do nothing."""

    def _matches(self, user_id: UserId, query: IndexQuery) -> Iterable[ListPosition]:
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
