"""Where a search gets the messages that may match: from the search index, or from lists.

The index knows words: it finds few candidates for a rare one. Lists know what is unread, flagged
and in which folder: they find few for `is:flagged`, whatever words stand beside. What candidates
leave open is decided afterwards (mail/search/executor.py), so that either way gives the same hits.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from mail.pagination import ListPosition, decode_cursor, encode_cursor, list_scope
from mail.ports import Places, SearchIndex
from mail.query.planner import IndexQuery
from mail.query.time_budget import TimeBudget
from mail.query.tree import And, HasState, InFolder, Node, Not, Or
from schemas.mailbox import JUNK, TRASH, Filter, Message, Page

_EVERYWHERE = (None, JUNK, TRASH)  # None: the list of all but these


class MessageRows(Protocol):
    """What a search needs of MailStore."""

    async def messages(self, user_id: str, message_ids: Sequence[str]) -> dict[str, Message]: ...

    async def page(
        self,
        user_id: str,
        folder_id: str | None,
        *,
        wanted: Filter,
        limit: int,
        cursor: str | None,
    ) -> Page: ...


class Candidates(msgspec.Struct, frozen=True):
    """Newest first; `on` is the place behind which to go on, None: there are no more."""

    rows: tuple[tuple[ListPosition, Message], ...]
    on: ListPosition | None
    examined: int


class Source(Protocol):
    async def following(self, before: ListPosition, limit: int) -> Candidates:
        """Those behind `before`, about `limit` of them."""
        ...


class IndexSession(msgspec.Struct, frozen=True):
    """The index, as one search of one user asks it."""

    index: SearchIndex
    user_id: str
    patience: TimeBudget

    async def find(self, wanted: IndexQuery, *, limit: int, before: ListPosition) -> Places:
        return await self.index.find(
            self.user_id, wanted, limit=limit, before=before, patience=self.patience
        )

    async def among(self, wanted: IndexQuery, message_ids: Sequence[str]) -> set[str]:
        return await self.index.among(self.user_id, wanted, message_ids, patience=self.patience)

    async def count(self, wanted: IndexQuery, *, limit: int) -> int:
        return await self.index.count(self.user_id, wanted, limit=limit, patience=self.patience)


class IndexSource(msgspec.Struct, frozen=True):
    """What the index finds. Without a row a document is none."""

    asked: IndexSession
    store: MessageRows
    wanted: IndexQuery

    async def following(self, before: ListPosition, limit: int) -> Candidates:
        places, goes_on = await self.asked.find(self.wanted, limit=limit, before=before)
        rows = await self.store.messages(self.asked.user_id, [id_ for _, id_ in places])
        found = tuple((place, rows[place[1]]) for place in places if place[1] in rows)
        return Candidates(found, places[-1] if goes_on else None, len(places))


class CandidateLists(msgspec.Struct, frozen=True):
    """Lists, each under the same filter, that hold every match between them."""

    folder_ids: tuple[str | None, ...]
    filter: Filter


class ListSource(msgspec.Struct, frozen=True):
    """What stands in lists, merged."""

    store: MessageRows
    user_id: str
    listing: CandidateLists

    async def following(self, before: ListPosition, limit: int) -> Candidates:
        """Each list gives a page; what lies behind the end of the shortest comes next time."""
        rows: dict[ListPosition, Message] = {}
        ends = []
        for folder_id in self.listing.folder_ids:
            scope = list_scope(self.user_id, folder_id, self.listing.filter)
            page = await self.store.page(
                self.user_id,
                folder_id,
                wanted=self.listing.filter,
                limit=limit,
                cursor=encode_cursor(before, *scope),
            )
            rows |= {(row.received_at_ms, row.message_id): row for row in page.messages}
            if page.next_cursor is not None:
                ends.append(decode_cursor(page.next_cursor, *scope))
        on = max(ends, default=None)
        found = sorted(((p, row) for p, row in rows.items() if on is None or p >= on), reverse=True)
        return Candidates(tuple(found), on, limit if ends else len(found))


def listing_of(node: Node, wanted: IndexQuery) -> CandidateLists | None:
    """The lists to look into; None when they would hold as much as the whole mailbox."""
    parts = node.of if isinstance(node, And) else (node,)
    folder_ids = next(filter(None, map(_folders, parts)), None)
    states = dict(filter(None, map(_state, parts)))
    if folder_ids is None and not states:
        return None
    return CandidateLists(
        folder_ids or _EVERYWHERE,
        Filter(
            unread=states.get("unread"),
            flagged=states.get("flagged"),
            has_attachments=wanted.has_attachments,
            after_ms=wanted.since_ms,
            before_ms=wanted.before_ms,
        ),
    )


def _folders(part: Node) -> tuple[str, ...] | None:
    """The folders in one of which a message must lie."""
    found = part.of if isinstance(part, Or) else (part,)
    ids = tuple(one.folder_id for one in found if isinstance(one, InFolder))
    return ids if ids and len(ids) == len(found) else None


def _state(part: Node) -> tuple[str, bool] | None:
    """How a message must be marked."""
    match part:
        case HasState(state):
            return state, True
        case Not(HasState(state)):
            return state, False
        case _:
            return None
