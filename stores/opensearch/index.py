"""SearchIndex on OpenSearch: one document for each message, on the shard of its user.

An index can be filled again while another is searched, and takes its place at once
(generations.py). When a new version of the mapping is opened first, every user that an older
version knows is unfilled, and is filled again from the mailboxes.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from mail.errors import Fatal
from mail.pagination import NEWEST, ListPosition
from mail.ports import COUNTED_MAX, IndexMatches, SearchIndex
from mail.query.highlighter import HighlightedText, Highlighter
from mail.query.matcher import SearchedDocument, document_facts, matches
from mail.query.narrowing import narrowed, to_verify
from mail.query.planner import IndexQuery, is_nothing
from mail.query.time_budget import SearchTimedOut, TimeBudget
from mail.query.tree import EVERYTHING, NOTHING, Node
from schemas.ids import MessageId, UserId
from schemas.opensearch.search import SEARCH_VERSION
from schemas.search import IndexDocument, IndexedTo
from schemas.versions.change import SchemaChange
from stores.opensearch.bulk_writer import BulkWriter
from stores.opensearch.client import ENGINE, Body, Conflict, OpenSearchClient, SearchClusterConfig
from stores.opensearch.generations import PARTS, Generation, Generations, OneGeneration, versions
from stores.opensearch.query import decides, document_id, documents_of, source_of
from stores.packed_documents import unpacked

USERS_MAX = 10_000  # of one answer of `unfilled`
_DECIDED_AT_ONCE = 200  # documents that are read to be decided here
_DOCUMENT = ["message_id", "head", "body"]
_SORT = [{"received_at_ms": "desc"}, {"message_id": "desc"}]


class OpenSearchIndex(SearchIndex):
    """`close` it. Every method raises StoreUnavailable."""

    def __init__(self, config: SearchClusterConfig, *, only: Generation | None = None) -> None:
        """The first call makes the indices; no connection is made here.

        `only`: the one generation that is written and searched here.
        """
        client = OpenSearchClient.open(config)
        self._config = config
        self._generations = (
            Generations(client, config) if only is None else OneGeneration(client, config, only)
        )
        self._index, self._progress = map(self._generations.searched, PARTS)
        self._client = client.after(self._generations.ready)
        self._writer = BulkWriter(self._client, self._generations)
        self._filling: OpenSearchIndex | None = None

    async def close(self) -> None:
        """Finish the writes under way, then close."""
        await self._writer.flush()
        await self._client.close()
        if self._filling is not None:
            await self._filling.close()

    async def planned(self) -> list[SchemaChange]:
        """Return what `migrate` would do; change nothing. Raises Fatal: an index is newer."""
        prefix = self._config.prefix
        found = versions(await self._client.aliases(f"{prefix}-*"), prefix)
        newest = max(found, default=0)
        if newest > SEARCH_VERSION:
            raise Fatal(f"the search has version {newest}, this Postriver knows {SEARCH_VERSION}")
        change = SchemaChange(engine=ENGINE, part="search", found=newest, version=SEARCH_VERSION)
        return [] if SEARCH_VERSION in found else [change]

    async def migrate(self) -> list[SchemaChange]:
        """Make the indices of this version; return what this process did. Raises as `planned`."""
        due = await self.planned()
        return due if await self._generations.make() else []

    async def begin(self) -> SearchIndex:
        """Return the index of a new generation, which is filled and not searched yet.

        It has no documents but those written since, or those of a filling that was cut short.
        """
        self._filling = OpenSearchIndex(self._config, only=await self._generations.begin())
        return self._filling

    async def switch(self) -> None:
        """Search the newest generation, at once; delete the others when no search reads them.

        All mailboxes were filled into it: indices of older versions go too.
        """
        await self._generations.switch((await self._generations.written())[0])
        await asyncio.sleep(self._config.retired_for_s)
        await self._generations.delete_retired()
        await self._generations.delete_older_versions()

    async def add(self, document: IndexDocument) -> None:
        source, size_bytes = source_of(document)
        action = _action("index", document.user_id, document.message_id)
        await self._writer.write(action, source, size_bytes=size_bytes)

    async def remove(self, user_id: UserId, message_id: MessageId) -> None:
        await self._writer.write(_action("delete", user_id, message_id))

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
        positions: list[ListPosition] = []
        documents: list[IndexDocument] = []
        examined: _Examined | None = None
        has_more = False
        with_documents = highlighted is not None
        try:
            async for examined in self._decided(
                user_id, query, before, limit, budget, with_documents=with_documents
            ):
                if examined.is_match:
                    positions.append(examined.position)
                    documents += [examined.document] if examined.document else []
                if has_more := len(positions) == limit:
                    break
        except SearchTimedOut:
            if examined is None:
                raise
            has_more = True
        return IndexMatches(
            positions,
            examined.position if examined and has_more else None,
            _highlighted(highlighted, documents) if highlighted is not None else {},
            examined.total if examined else None,
        )

    async def matching(
        self,
        user_id: UserId,
        query: IndexQuery,
        message_ids: Sequence[MessageId],
        *,
        budget: TimeBudget | None = None,
    ) -> set[MessageId]:
        found = self._decided(
            user_id, query, NEWEST, len(message_ids), budget, among=tuple(message_ids)
        )
        return {MessageId(each.position[1]) async for each in found if each.is_match}

    async def count(
        self, user_id: UserId, query: IndexQuery, *, limit: int, budget: TimeBudget | None = None
    ) -> int:
        if to_verify(query.text, decides) != EVERYTHING:
            return len((await self.find(user_id, query, limit=limit, budget=budget)).positions)
        if is_nothing(query):
            return 0
        body = {
            "query": documents_of(user_id, query, query.text),
            "size": 0,
            "track_total_hits": limit,
        }
        found = await self._search(user_id, body, budget)
        return min(limit, int(found["hits"]["total"]["value"]))

    async def highlight(
        self, user_id: UserId, node: Node, message_ids: Sequence[MessageId]
    ) -> dict[str, HighlightedText]:
        found = await self._many(user_id, message_ids, _DOCUMENT)
        return _highlighted(node, [_document(each["_source"]) for each in found])

    def position(self, document: IndexDocument) -> ListPosition:
        return document.received_at_ms, document.message_id

    async def indexed(self, user_id: UserId, message_ids: Sequence[MessageId]) -> set[str]:
        found = await self._many(user_id, message_ids, ["message_id"], as_searched=True)
        return {each["_source"]["message_id"] for each in found}

    async def mark_unfilled(self, user_id: UserId) -> None:
        """Let the index of the user be filled from the mailbox. Raises StoreUnavailable."""
        await self._change_progress(user_id, lambda _: {"unfilled": True})

    async def clear(self, user_id: UserId) -> None:
        await self._writer.flush()
        await self._generations.each(partial(self._clear, user_id))

    async def _clear(self, user_id: UserId, generation: Generation) -> None:
        await self._change_progress(user_id, lambda _: {"unfilled": True}, generation)
        documents = generation.write("search")
        await self._client.refresh(documents)
        await self._client.delete_where(documents, {"term": {"user": user_id}}, routing=user_id)

    async def unfilled(self) -> list[UserId]:
        await self._client.refresh(self._progress)
        body = {"query": {"term": {"unfilled": True}}, "size": USERS_MAX, "_source": ["user"]}
        found = await self._client.search(self._progress, body)
        return sorted(UserId(hit["_source"]["user"]) for hit in found["hits"]["hits"])

    async def indexed_to(self, user_id: UserId) -> IndexedTo:
        found = await self._client.get(self._progress, user_id)
        return _indexed_to(found["_source"]) if found else IndexedTo()

    async def mark_indexed(self, user_id: UserId, to: IndexedTo) -> None:
        await self._change_progress(user_id, lambda now: _raised(now, to))

    async def mark_filled(self, user_id: UserId, to: IndexedTo) -> None:
        await self._change_progress(
            user_id, lambda now: (_raised(now, to) or now) | {"unfilled": False}
        )

    async def _change_progress(
        self, user_id: UserId, change: Any, generation: Generation | None = None
    ) -> None:
        """Replace the user's progress; `change` returns the new one, or None for no change.

        `generation`: None means the searched generation.
        """
        progress = (generation or await self._generations.current()).write("progress")
        while True:
            before = await self._client.get(progress, user_id)
            changed = change(before["_source"] if before else {})
            if changed is None:
                return
            try:
                source = {"user": user_id, **changed}
                await self._client.replace(progress, user_id, source, before)
            except Conflict:
                continue
            return

    async def _decided(
        self,
        user_id: UserId,
        query: IndexQuery,
        before: ListPosition,
        limit: int,
        budget: TimeBudget | None,
        *,
        among: Sequence[MessageId] | None = None,
        with_documents: bool = False,
    ) -> "AsyncIterator[_Examined]":
        """Iterate over candidates after `before`, newest first.

        With `with_documents`, each has its document, and a total if OpenSearch alone decides.
        Raises SearchTimedOut.
        """
        text, node = narrowed(query.text, decides), to_verify(query.text, decides)
        if text == NOTHING or is_nothing(query):
            return
        wanted = documents_of(user_id, query, text)
        if among is not None:
            wanted["bool"]["filter"].append({"terms": {"message_id": list(among)}})
        is_decided = node == EVERYTHING
        size = limit if is_decided else _DECIDED_AT_ONCE
        body = {
            "query": wanted,
            "size": size,
            "sort": _SORT,
            "_source": _DOCUMENT if with_documents or not is_decided else False,
            "track_total_hits": COUNTED_MAX if with_documents and is_decided else False,
        }
        while size:
            if before != NEWEST:
                body["search_after"] = list(before)
            found = (await self._search(user_id, body, budget))["hits"]
            for examined in _examined(found, node, budget):
                before = examined.position
                yield examined
            if len(found["hits"]) < size:
                return

    async def _search(self, user_id: UserId, body: Body, budget: TimeBudget | None) -> Body:
        """Search on the shard of the user; the time is spent from `budget`."""
        if budget is None:
            return await self._client.search(self._index, body, routing=user_id)
        budget.check()
        began_s = time.perf_counter()
        body = body | {"timeout": f"{max(1, int(budget.left_s * 1000))}ms"}
        try:
            found = await self._client.search(self._index, body, routing=user_id)
        finally:
            budget.spend(time.perf_counter() - began_s)
        if found["timed_out"]:
            raise SearchTimedOut
        return found

    async def _many(
        self,
        user_id: UserId,
        message_ids: Sequence[MessageId],
        source: list[str],
        *,
        as_searched: bool = False,
    ) -> list[Body]:
        ids = [document_id(user_id, each) for each in message_ids]
        return await self._client.many(
            self._index, ids, routing=user_id, source=source, as_searched=as_searched
        )


def _action(name: str, user_id: UserId, message_id: MessageId) -> Body:
    return {name: {"_id": document_id(user_id, message_id), "routing": user_id}}


class _Examined(NamedTuple):
    """A document that a query has found, and what is known of it."""

    position: ListPosition
    is_match: bool
    document: IndexDocument | None  # None: it was not read
    total: int | None  # of all matches of the query, at most COUNTED_MAX; None: not counted


def _examined(found: Body, node: Node, budget: TimeBudget | None) -> Iterator[_Examined]:
    """Yield the hits of an answer; what OpenSearch does not decide, `node`, is decided here.

    Raises SearchTimedOut.
    """
    total = min(found["total"]["value"], COUNTED_MAX) if "total" in found else None
    for hit in found["hits"]:
        at_ms, message_id = hit["sort"]
        began_s = time.perf_counter()
        document = _document(hit["_source"]) if "_source" in hit else None
        is_match = node == EVERYTHING or (document is not None and _is_match(node, document))
        if budget is not None and node != EVERYTHING:
            budget.spend(time.perf_counter() - began_s)
            budget.check()
        yield _Examined((at_ms, message_id), is_match, document, total)


def _highlighted(node: Node, documents: Sequence[IndexDocument]) -> dict[str, HighlightedText]:
    highlighter = Highlighter(node)
    return {each.message_id: highlighter.highlight(each.subject, each.body) for each in documents}


def _is_match(node: Node, document: IndexDocument) -> bool:
    return matches(node, SearchedDocument(document), document_facts(document))


def _document(source: Body) -> IndexDocument:
    return unpacked(base64.b64decode(source["head"]), base64.b64decode(source["body"]))


def _indexed_to(source: Body) -> IndexedTo:
    return IndexedTo(source["epoch"], source["seq"]) if "epoch" in source else IndexedTo()


def _raised(source: Body, to: IndexedTo) -> Body | None:
    """The progress at `to`; None: `source` is of the same epoch and not lower."""
    now = _indexed_to(source)
    if "epoch" in source and now.epoch == to.epoch and now.seq >= to.seq:
        return None
    return source | {"epoch": to.epoch, "seq": to.seq}
