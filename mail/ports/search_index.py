"""SearchIndex: full-text search over the messages of each user."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from mail.pagination import NEWEST, ListPosition
from mail.query.highlighter import HighlightedText
from mail.query.planner import IndexQuery
from mail.query.time_budget import TimeBudget
from mail.query.tree import Node
from schemas.ids import MessageId, UserId
from schemas.search import IndexDocument, IndexedTo

MATCHES_MAX = 1_000  # of one call of SearchIndex.find
COUNTED_MAX = 1_001  # counted matches: a larger number costs as much as the search


class IndexMatches(NamedTuple):
    """Positions of matches, newest first, then by message id.

    The number of a position is assigned by the index; its text is the message id. More matches may
    follow after `next_position`; None: there are no more.
    """

    positions: list[ListPosition]
    next_position: ListPosition | None
    highlights: Mapping[str, HighlightedText] = MappingProxyType({})  # by message id, as for `find`
    total: int | None = None  # of all matches of the query, at most COUNTED_MAX; None: not counted


class SearchReader(Protocol):
    """Searches in the texts, header fields, sizes and arrival times of messages.

    mail/query/matcher.py defines the matches of a query for every adapter. The time of a call is
    bounded by the size of one user's mailbox and independent of other users. A call with `budget`
    spends its time from it, and raises SearchTimedOut if the budget ends before there is a result.
    """

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
        """Return the first `limit` matches after `before`, 1 <= limit <= MATCHES_MAX.

        With `highlighted`, an adapter that saves a request by it returns the highlights of that
        node and the total too; others leave them out, and `highlight` and `count` return them.
        Returns fewer matches, perhaps none, when `budget` ends after the first candidate; the
        search continues at `next_position`.
        """
        ...

    async def matching(
        self,
        user_id: UserId,
        query: IndexQuery,
        message_ids: Sequence[MessageId],
        *,
        budget: TimeBudget | None = None,
    ) -> set[MessageId]:
        """Return those of `message_ids`, at most MATCHES_MAX, that match `query`."""
        ...

    async def count(
        self, user_id: UserId, query: IndexQuery, *, limit: int, budget: TimeBudget | None = None
    ) -> int:
        """Return the number of matches, at most `limit`."""
        ...

    async def highlight(
        self, user_id: UserId, node: Node, message_ids: Sequence[MessageId]
    ) -> dict[str, HighlightedText]:
        """Highlight the matches of `node` in the texts of messages, keyed by message id.

        A message that the index does not hold has no entry.
        """
        ...

    def position(self, document: IndexDocument) -> ListPosition:
        """Return the position that the index would give to a document that it does not hold."""
        ...

    async def indexed(self, user_id: UserId, message_ids: Sequence[MessageId]) -> set[str]:
        """Return those of `message_ids` that the index holds."""
        ...

    async def indexed_to(self, user_id: UserId) -> IndexedTo:
        """Return what was marked last for the user and not cleared since; IndexedTo(): nothing."""
        ...


class SearchWriter(Protocol):
    """Writes of the index. A change is durable when the call returns."""

    async def add(self, document: IndexDocument) -> None:
        """Add or replace the document of a message id; adding an equal document changes nothing.

        An adapter may write several concurrent calls together.
        """
        ...

    async def remove(self, user_id: UserId, message_id: MessageId) -> None: ...

    async def clear(self, user_id: UserId) -> None:
        """Drop every document of the user, and list the user as unfilled until `mark_filled`."""
        ...

    async def unfilled(self) -> list[UserId]:
        """Return the users whose documents were dropped, by `clear` or by a change of format."""
        ...

    async def mark_indexed(self, user_id: UserId, to: IndexedTo) -> None:
        """Record that the index holds every message created up to `to`.

        A lower seq of the same epoch is ignored.
        """
        ...

    async def mark_filled(self, user_id: UserId, to: IndexedTo) -> None:
        """As `mark_indexed`; the user is no longer unfilled."""
        ...


class SearchIndex(SearchReader, SearchWriter, Protocol):
    """Full-text search over the messages of each user."""
