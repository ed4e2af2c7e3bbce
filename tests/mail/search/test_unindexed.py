"""Messages that the index lacks: which are found, and what a search says about the others."""

import pytest
from msgspec.structs import replace

from agents.index import index
from agents.mailbox import mailbox
from agents.ports import IndexPorts
from mail.ids import message_id
from mail.query.parser import parse
from mail.query.time_budget import TimeBudget
from mail.query.tree import QueryContext
from mail.search import unindexed
from mail.search.executor import SearchRequest, SearchResult, execute_search
from mail.search.unindexed import UnindexedReader, lacking
from parsing.in_process import InProcessParser
from schemas.events.mailbox_commands import ExpungeMessages
from schemas.search import IndexedTo
from stores.memory import MemoryContentStore, MemoryMailStore
from stores.memory.search_index import MemorySearchIndex
from tests.support.agent_builders import OneTry, change, deliver, mailbox_ports, order


class Box:
    """Bob's mailbox, and an index that has what `indexed` was called for."""

    def __init__(self) -> None:
        self.store, self.contents = MemoryMailStore(), MemoryContentStore()
        self.index = MemorySearchIndex()
        self.ports = IndexPorts(store=self.store, contents=self.contents, search=self.index)
        self._boxes = mailbox_ports(store=self.store)
        self._offset = 0

    async def do(self, command):
        self._offset += 1
        (event,) = await mailbox(command, OneTry(offset=self._offset), self._boxes)
        return event

    async def deliver(self, name: str, text: str = "at four"):
        await self.contents.put(name, f"Subject: {name}\r\nX-A: b\r\n\r\n{text}".encode())
        return await self.do(deliver(name))

    async def search(self, query: str, **options) -> SearchResult:
        reader = UnindexedReader(
            index=self.index, store=self.store, contents=self.contents, parser=InProcessParser()
        )
        request = SearchRequest(
            user_id="bob",
            query=parse(query, QueryContext(now_ms=0)),
            unindexed=await reader.read("bob", TimeBudget()),
            **{"limit": 10} | options,
        )
        return await execute_search(self.index, self.store, request)

    async def found(self, query: str, **options) -> list[str]:
        hits = (await self.search(query, **options)).hits
        return [hit.row.mail_id for hit in hits]

    async def marked(self) -> None:
        state = await self.store.state("bob")
        await self.index.mark_indexed("bob", IndexedTo(state.epoch, state.seq))


@pytest.fixture
def bob() -> Box:
    return Box()


async def test_what_was_just_stored_is_found_in_every_way(bob: Box) -> None:
    await index(await bob.deliver("m1"), OneTry(), bob.ports)
    await bob.deliver("m2")
    for query in ("four", "contains:ou", "header:x-a:b", "is:unread", "is:unread four", "-absent"):
        result = await bob.search(query)
        assert sorted(hit.row.mail_id for hit in result.hits) == ["m1", "m2"], query
        assert result.is_complete
    assert sorted(await bob.found("four", order="relevance")) == ["m1", "m2"]
    assert await bob.found("absent") == []
    hits = (await bob.search("four")).hits
    assert [hit.highlights.preview for hit in hits] == ["at <mark>four</mark>"] * 2
    await bob.do(order(ExpungeMessages, "gone", "m2", folder_id="inbox"))
    assert await bob.found("four") == ["m1"]


async def test_pages_hold_indexed_and_unindexed_messages_in_one_order(bob: Box) -> None:
    for n in range(9):
        event = await bob.deliver(f"m{n}")
        if n % 2:
            await index(event, OneTry(), bob.ports)
    whole = await bob.found("four")
    paged, cursor = [], None
    while True:
        page = await bob.search("four", limit=2, cursor=cursor)
        paged += [hit.row.mail_id for hit in page.hits]
        cursor = page.next_cursor
        if cursor is None:
            break
        if len(paged) == 4:  # the index catches up between two pages
            for row in (await bob.store.messages("bob", list(map(_id, range(9))))).values():
                await bob.index.add((await _document(bob, row)).document)
    assert paged == whole
    assert len(whole) == 9


def _id(n: int) -> str:
    return message_id(f"m{n}", "bob")


async def _document(bob: Box, row):
    reader = UnindexedReader(
        index=bob.index, store=bob.store, contents=bob.contents, parser=InProcessParser()
    )
    return await reader._document(row)


async def test_only_what_changed_after_the_mark_is_compared(bob: Box) -> None:
    await bob.deliver("m1")
    await bob.marked()
    assert await bob.found("four") == []  # the mark vouches for m1
    await bob.deliver("m2")
    assert await bob.found("four") == ["m2"]
    await bob.do(change("c1", "m1", add=["work"]))
    assert sorted(await bob.found("four")) == ["m1", "m2"]


async def test_a_mark_of_another_history_does_not_count(bob: Box) -> None:
    await bob.deliver("m1")
    for mark in (IndexedTo("another", 1), IndexedTo((await bob.store.state("bob")).epoch, 99)):
        bob.index._indexed_to["bob"] = mark
        assert await bob.found("four") == ["m1"], mark


async def test_beyond_the_limits_the_newest_are_found_and_the_answer_says_so(
    bob: Box, monkeypatch
) -> None:
    await bob.deliver("m0")
    await bob.marked()
    for n in range(1, 6):
        await bob.deliver(f"m{n}")
    monkeypatch.setattr(unindexed, "DECIDED_MAX", 3)
    result = await bob.search("four")
    assert {hit.row.mail_id for hit in result.hits} == {"m3", "m4", "m5"}
    assert not result.is_complete
    monkeypatch.setattr(unindexed, "DECIDED_MAX", 9)
    assert (await bob.search("four")).is_complete
    monkeypatch.setattr(unindexed, "DECIDED_MAX_BYTES", 25)
    result = await bob.search("four")
    assert (len(result.hits), result.is_complete) == (2, False)
    assert not (await lacking(bob.index, bob.store, "bob", checked_max=4)).complete
    bob.index._indexed_to.clear()
    nothing = await lacking(bob.index, bob.store, "bob", checked_max=4)
    assert (nothing.message_ids, nothing.complete) == ((), False)


async def test_a_message_without_content_is_found_by_its_head(bob: Box) -> None:
    await bob.do(deliver("lost"))
    assert await bob.found("subject:tea") == ["lost"]
    assert await bob.found("four") == []


async def test_messages_marked_as_deleted_are_found_if_asked_for(bob: Box) -> None:
    await index(await bob.deliver("m1"), OneTry(), bob.ports)
    await bob.deliver("m2")
    rows = bob.store._mailboxes["bob"].messages
    for n in (1, 2):
        rows[_id(n)] = replace(rows[_id(n)], deleted_in=("inbox",))
    assert await bob.found("four") == []
    for query in ("four", "in:inbox four"):
        assert sorted(await bob.found(query, with_deleted=True)) == ["m1", "m2"], query
