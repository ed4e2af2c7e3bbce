"""SearchIndex in memory, for tests: applies the definition of matches in mail/query/matcher.py."""

from collections.abc import Iterable, Sequence

from mail.errors import StoreUnavailable
from mail.pagination import NEWEST, ListPosition
from mail.ports import IndexMatches
from mail.query.highlighter import HighlightedText, Highlighter
from mail.query.matcher import SearchedDocument, document_facts, matches
from mail.query.planner import IndexQuery, node_of
from mail.query.time_budget import TimeBudget
from mail.query.tree import Node
from schemas.ids import MessageId, UserId
from schemas.search import IndexDocument, IndexedTo


class MemorySearchIndex:
    """SearchIndex of one process. While `down` is set, every call raises StoreUnavailable.

    `slow_s`: time that each search spends from its budget.
    """

    def __init__(self) -> None:
        self.down = False
        self.slow_s = 0.0
        self.lost: set[UserId] = set()  # unfilled users
        self._documents: dict[tuple[str, str], SearchedDocument] = {}
        self._indexed_to: dict[UserId, IndexedTo] = {}

    async def add(self, document: IndexDocument) -> None:
        self._check()
        self._documents[document.user_id, document.message_id] = SearchedDocument(document)

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
        highlighted: Node | None = None,
        budget: TimeBudget | None = None,
    ) -> IndexMatches:
        del highlighted
        self._check(budget)
        positions = sorted(match for match in self._matches(user_id, query) if match < before)
        found = positions[::-1][:limit]
        return IndexMatches(found, found[-1] if len(positions) > limit else None)

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
        documents = [self._documents[key].document for key in keys if key in self._documents]
        return {row.message_id: highlighter.highlight(row.subject, row.body) for row in documents}

    def position(self, document: IndexDocument) -> ListPosition:
        return document.received_at_ms, document.message_id

    async def indexed(self, user_id: UserId, message_ids: Sequence[MessageId]) -> set[str]:
        self._check()
        return {id_ for id_ in message_ids if (user_id, id_) in self._documents}

    async def clear(self, user_id: UserId) -> None:
        self._check()
        self.lost.add(user_id)
        self._indexed_to.pop(user_id, None)
        for key in [key for key in self._documents if key[0] == user_id]:
            del self._documents[key]

    async def unfilled(self) -> list[UserId]:
        self._check()
        return sorted(self.lost)

    async def indexed_to(self, user_id: UserId) -> IndexedTo:
        self._check()
        return self._indexed_to.get(user_id, IndexedTo())

    async def mark_indexed(self, user_id: UserId, to: IndexedTo) -> None:
        self._check()
        before = self._indexed_to.get(user_id, IndexedTo())
        if before.epoch != to.epoch or before.seq < to.seq:
            self._indexed_to[user_id] = to

    async def mark_filled(self, user_id: UserId, to: IndexedTo) -> None:
        await self.mark_indexed(user_id, to)
        self.lost.discard(user_id)

    async def close(self) -> None:
        """Do nothing."""

    def _matches(self, user_id: UserId, query: IndexQuery) -> Iterable[ListPosition]:
        node = node_of(query)
        for searched in self._documents.values():
            document = searched.document
            if document.user_id == user_id and matches(node, searched, document_facts(document)):
                yield self.position(document)

    def _check(self, budget: TimeBudget | None = None) -> None:
        if self.down:
            raise StoreUnavailable("search", "down")
        if budget is not None:
            budget.spend(self.slow_s)
            budget.check()
