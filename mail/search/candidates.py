"""Candidates of a search: messages that may match, from the search index or from message lists.

The index is selective for words: a rare word has few candidates. Lists are selective for states
and folders: `is:flagged` has few candidates, no matter how common the other words of the query
are. The executor (mail/search/executor.py) checks the candidates, so both sources give the same
hits.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Protocol

import msgspec

from mail.pagination import ListPosition, decode_cursor, encode_cursor, list_scope
from mail.ports import IndexMatches, SearchReader
from mail.query.highlighter import HighlightedText
from mail.query.planner import IndexQuery
from mail.query.time_budget import TimeBudget
from mail.query.tree import And, HasKeyword, HasState, InFolder, MessageIn, Node, Not, Or
from schemas.ids import FolderId, MessageId, UserId
from schemas.mailbox import JUNK, TRASH, Filter, Message, Page

_EVERYWHERE = (None, JUNK, TRASH)  # None: the list of all folders but Junk and Trash


class MessageRows(Protocol):
    """The two methods of MailStore that a search calls."""

    async def messages(
        self, user_id: UserId, message_ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]: ...

    async def page(
        self,
        user_id: UserId,
        folder_id: FolderId | None,
        *,
        conditions: Filter,
        limit: int,
        cursor: str | None,
    ) -> Page: ...


class Candidates(msgspec.Struct, frozen=True):
    """One batch of candidates, newest first.

    `next_position` is the position after which the next batch begins. None: this batch is the last.
    `examined` counts the index matches or rows read, including those without a message row.
    """

    rows: tuple[tuple[ListPosition, Message], ...]
    next_position: ListPosition | None
    examined: int
    highlights: Mapping[str, HighlightedText] = MappingProxyType({})  # see SearchReader.find
    total: int | None = None


class CandidateSource(Protocol):
    async def next_batch(self, before: ListPosition, limit: int) -> Candidates:
        """Return about `limit` candidates older than `before`."""
        ...


class IndexSession(msgspec.Struct, frozen=True):
    """The index calls of one search of one user, charged to one time budget."""

    index: SearchReader
    user_id: UserId
    budget: TimeBudget

    async def find(
        self,
        query: IndexQuery,
        *,
        limit: int,
        before: ListPosition,
        highlighted: Node | None = None,
    ) -> IndexMatches:
        return await self.index.find(
            self.user_id,
            query,
            limit=limit,
            before=before,
            highlighted=highlighted,
            budget=self.budget,
        )

    async def matching(self, query: IndexQuery, message_ids: Sequence[MessageId]) -> set[MessageId]:
        return await self.index.matching(self.user_id, query, message_ids, budget=self.budget)

    async def count(self, query: IndexQuery, *, limit: int) -> int:
        return await self.index.count(self.user_id, query, limit=limit, budget=self.budget)


class IndexSource(msgspec.Struct, frozen=True):
    """Candidates from the index. A document without a message row is not a candidate."""

    session: IndexSession
    store: MessageRows
    query: IndexQuery
    with_deleted: bool = False  # messages too that are marked as deleted in all their folders
    highlighted: Node | None = None  # candidates are hits: their highlights are of use

    async def next_batch(self, before: ListPosition, limit: int) -> Candidates:
        found = await self.session.find(
            self.query, limit=limit, before=before, highlighted=self.highlighted
        )
        rows = await self.store.messages(
            self.session.user_id, [MessageId(id_) for _, id_ in found.positions]
        )
        candidates = tuple(
            (position, row)
            for position in found.positions
            if (row := rows.get(MessageId(position[1]))) and (self.with_deleted or row.shown_places)
        )
        return Candidates(
            candidates, found.next_position, len(found.positions), found.highlights, found.total
        )


class MergedSource(msgspec.Struct, frozen=True):
    """Candidates from the index, and messages that the index lacks, at their future positions."""

    source: IndexSource
    lacking: tuple[tuple[ListPosition, Message], ...]

    async def next_batch(self, before: ListPosition, limit: int) -> Candidates:
        batch = await self.source.next_batch(before, limit)
        end, held = batch.next_position, {row.message_id for _, row in batch.rows}
        added = [
            (position, row)
            for position, row in self.lacking
            if position < before and (end is None or position >= end) and row.message_id not in held
        ]
        rows = sorted((*batch.rows, *added), key=itemgetter(0), reverse=True)
        examined = batch.examined + len(added)
        return Candidates(tuple(rows), end, examined, batch.highlights, batch.total)


class IdSource(msgspec.Struct, frozen=True):
    """Candidates from a set of message ids, by position."""

    store: MessageRows
    user_id: UserId
    message_ids: tuple[MessageId, ...]
    with_deleted: bool = False

    async def next_batch(self, before: ListPosition, limit: int) -> Candidates:
        """Return up to `limit` of the messages; the rows of all are read, at most IDS_MAX."""
        rows = await self.store.messages(self.user_id, self.message_ids)
        positions = ((row.received_at_ms, row.message_id) for row in rows.values())
        older = sorted((position for position in positions if position < before), reverse=True)
        candidates = [(position, rows[MessageId(position[1])]) for position in older[:limit]]
        shown = ((at, row) for at, row in candidates if self.with_deleted or row.shown_places)
        has_more = len(older) > limit
        return Candidates(tuple(shown), older[limit - 1] if has_more else None, len(candidates))


class CandidateLists(msgspec.Struct, frozen=True):
    """Lists under one filter. Every match of the query is in at least one of the lists."""

    folder_ids: tuple[FolderId | None, ...]
    filter: Filter


class ListSource(msgspec.Struct, frozen=True):
    """Candidates from several lists, merged by position."""

    store: MessageRows
    user_id: UserId
    lists: CandidateLists

    async def next_batch(self, before: ListPosition, limit: int) -> Candidates:
        """Read one page of each list, and return the rows down to the end of the shortest page.

        The rows of the other pages after that position belong to the next batch.
        """
        rows: dict[ListPosition, Message] = {}
        page_ends = []
        for folder_id in self.lists.folder_ids:
            scope = list_scope(self.user_id, folder_id, self.lists.filter)
            page = await self.store.page(
                self.user_id,
                folder_id,
                conditions=self.lists.filter,
                limit=limit,
                cursor=encode_cursor(before, *scope),
            )
            rows |= {(row.received_at_ms, row.message_id): row for row in page.messages}
            if page.next_cursor is not None:
                page_ends.append(decode_cursor(page.next_cursor, *scope))
        end = max(page_ends, default=None)
        candidates = sorted(
            ((position, row) for position, row in rows.items() if end is None or position >= end),
            reverse=True,
        )
        return Candidates(tuple(candidates), end, limit if page_ends else len(candidates))


def candidate_lists(node: Node, index_query: IndexQuery) -> CandidateLists | None:
    """Return the lists that hold every match of `node`; None if they hold the whole mailbox."""
    parts = node.of if isinstance(node, And) else (node,)
    folder_ids = next(filter(None, map(_required_folders, parts)), None)
    states = dict(filter(None, map(_required_state, parts)))
    keyword = next((part.keyword for part in parts if isinstance(part, HasKeyword)), None)
    if folder_ids is None and not states and keyword is None:
        return None
    return CandidateLists(
        folder_ids or _EVERYWHERE,
        Filter(
            unread=states.get("unread"),
            flagged=states.get("flagged"),
            keyword=keyword,
            has_attachments=index_query.has_attachments,
            after_ms=index_query.since_ms,
            before_ms=index_query.before_ms,
        ),
    )


def required_ids(node: Node) -> tuple[MessageId, ...] | None:
    """Return ids that hold every match of `node`; None if `node` does not name its messages."""
    parts = node.of if isinstance(node, And) else (node,)
    return next((part.message_ids for part in parts if isinstance(part, MessageIn)), None)


def _required_folders(part: Node) -> tuple[FolderId, ...] | None:
    """The folders of `part`, if it requires a message to be in any of them and nothing else."""
    alternatives = part.of if isinstance(part, Or) else (part,)
    folder_ids = tuple(node.folder_id for node in alternatives if isinstance(node, InFolder))
    return folder_ids if folder_ids and len(folder_ids) == len(alternatives) else None


def _required_state(part: Node) -> tuple[str, bool] | None:
    """The state that `part` requires, and its value; None if `part` is not about a state."""
    match part:
        case HasState(state):
            return state, True
        case Not(HasState(state)):
            return state, False
        case _:
            return None
