"""Full text of messages."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mail.pagination import NEWEST, ListPosition
from mail.query.highlighter import HighlightedText
from mail.query.planner import IndexQuery
from mail.query.time_budget import TimeBudget
from mail.query.tree import Node
from schemas.search import IndexDocument

FOUND_MAX = 1_000  # of one call of SearchIndex.find


class Places(NamedTuple):
    """Newest first, then by message id. `go_on`: there may be more behind the last of them.

    A place's number is the index's own, its text the message id.
    """

    found: list[ListPosition]
    go_on: bool


class SearchIndex(Protocol):
    """Text, size and time of messages. What matches is defined by mail/query/matcher.py for all.

    What is asked costs a bounded time in one mailbox, whatever others hold. With `patience` it is
    charged with that time, and TooBroad is raised when it ends before there is an answer.
    """

    async def add(self, document: IndexDocument) -> None:
        """Keyed by message id; the same again changes nothing. Calls may be written together."""
        ...

    async def remove(self, user_id: str, message_id: str) -> None: ...

    async def find(
        self,
        user_id: str,
        wanted: IndexQuery,
        *,
        limit: int,
        before: ListPosition = NEWEST,
        patience: TimeBudget | None = None,
    ) -> Places:
        """Those behind `before`. 1 <= limit <= FOUND_MAX, fewer when patience ends before."""
        ...

    async def among(
        self,
        user_id: str,
        wanted: IndexQuery,
        message_ids: Sequence[str],
        *,
        patience: TimeBudget | None = None,
    ) -> set[str]:
        """Those of the messages, at most FOUND_MAX, that match."""
        ...

    async def count(
        self, user_id: str, wanted: IndexQuery, *, limit: int, patience: TimeBudget | None = None
    ) -> int:
        """How many match; `limit` when there are more."""
        ...

    async def mark(
        self, user_id: str, node: Node, message_ids: Sequence[str]
    ) -> dict[str, HighlightedText]:
        """Where texts answer `node`; a message that the index does not hold has no entry."""
        ...

    async def known(self, user_id: str, message_ids: Sequence[str]) -> set[str]:
        """Those that the index holds."""
        ...

    async def lose(self, user_id: str) -> None:
        """Drop every document of the user, who is among `unfilled` from now on until `filled`."""
        ...

    async def unfilled(self) -> list[str]:
        """Users whose documents the index has lost, since a version keeps them otherwise."""
        ...

    async def filled(self, user_id: str) -> None:
        """All documents of the user have been added again."""
        ...
