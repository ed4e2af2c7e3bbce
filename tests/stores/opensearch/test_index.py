"""The search index on a real OpenSearch: contract suites, and what only a cluster can break."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from opensearchpy.exceptions import OpenSearchException

from mail.errors import StoreUnavailable
from mail.ids import new_id
from mail.query.planner import IndexQuery
from mail.query.tree import Not, WordsNode
from mail.search.executor import SearchRequest, execute_search
from schemas.search import IndexedTo
from stores.opensearch.client import SearchClusterConfig
from stores.opensearch.index import OpenSearchIndex
from tests.contracts.search_cases import document, ids, row
from tests.contracts.search_index import SearchReaderContract, find, read, store_of
from tests.contracts.search_writer import SearchWriterContract
from tests.support.broker import free_ports

pytestmark = pytest.mark.distributed


@pytest.fixture
async def index(config: SearchClusterConfig) -> AsyncIterator[OpenSearchIndex]:
    """An empty index. One index serves all tests: to empty it is faster than to make it."""
    opened = OpenSearchIndex(config)
    yield opened
    await opened._client._client.delete_by_query(
        index=f"{config.prefix}-*",
        body={"query": {"match_all": {}}},
        params={"refresh": "true", "ignore_unavailable": "true"},
    )
    await opened.close()


class TestOpenSearchIndex(SearchReaderContract, SearchWriterContract):
    pass


async def test_a_phrase_that_ends_in_a_beginning_is_decided_by_the_documents(index) -> None:
    texts = {"a": "old river mails", "b": "river old mails", "c": "the old rivers", "d": "river"}
    for at, (name, body) in enumerate(texts.items()):
        await index.add(document(name, at=at, body=body))
    leaf = WordsNode(("old", "riv"), None, prefix=True)

    async def names(text) -> list[str]:
        found = await index.find("ann", IndexQuery(text=text), limit=9)
        return [id_ for _, id_ in found.positions]

    assert await names(leaf) == ids("c", "a")
    assert await names(Not(leaf)) == ids("d", "b")
    assert await index.count("ann", IndexQuery(text=Not(leaf)), limit=9) == 2


async def test_a_page_of_hits_is_one_request_for_documents(index, monkeypatch) -> None:
    made = [document(str(n), at=n, body="river") for n in range(4)]
    await asyncio.gather(*map(index.add, made))
    store, asked = await store_of(map(row, made)), []
    for name in ("search", "many"):
        method = getattr(index._client, name)
        monkeypatch.setattr(
            index._client, name, lambda *a, m=method, **more: asked.append(a) or m(*a, **more)
        )
    request = SearchRequest(user_id="ann", query=read("river"), limit=3)
    page = await execute_search(index, store, request)
    assert [hit.highlights.preview for hit in page.hits] == ["<mark>river</mark>"] * 3
    assert (page.total, page.total_is_exact, len(asked)) == (4, True, 1)


async def test_a_message_that_searches_do_not_find_yet_is_not_indexed(config) -> None:
    """A search looks elsewhere for the messages that the index lacks."""
    index = OpenSearchIndex(replace(config, prefix=f"test-{new_id()}", refresh="1h"))
    written = document("a", body="river")
    id_ = written.message_id
    await index.mark_indexed("ann", IndexedTo("e", 1))  # makes the indices
    adding = asyncio.create_task(index.add(written))
    query = IndexQuery(text=WordsNode(("river",)))
    async with asyncio.timeout(60):
        while not await index.highlight("ann", query.text, [id_]):  # the document is there
            await asyncio.sleep(0.02)
    assert (await index.find("ann", query, limit=9)).positions == []
    assert await index.indexed("ann", [id_]) == set()
    await index._client.refresh(index._index)
    await adding
    assert await index.indexed("ann", [id_]) == {id_}
    assert [found for _, found in (await index.find("ann", query, limit=9)).positions] == [id_]
    await index.close()


async def test_two_processes_raise_the_progress_and_it_never_falls(index, config) -> None:
    other = OpenSearchIndex(config)
    marks = [
        (index if n % 2 else other).mark_indexed("ann", IndexedTo("e", n)) for n in range(1, 21)
    ]
    await asyncio.gather(*marks)
    assert await index.indexed_to("ann") == IndexedTo("e", 20)
    await other.close()


async def test_without_a_server_it_says_that_the_store_is_unavailable() -> None:
    config = SearchClusterConfig(port=free_ports(1)[0], timeout_s=1)
    index = OpenSearchIndex(config)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="opensearch"):
            await index.indexed_to("ann")
    await index.close()


async def test_a_write_is_found_when_it_returns_and_many_go_together(index) -> None:
    made = [document(str(n), at=n, body="x") for n in range(700)]
    await asyncio.gather(*map(index.add, made))
    assert await index.count("ann", IndexQuery(text=WordsNode(("x",))), limit=1000) == 700
    await asyncio.gather(*(index.remove("ann", each.message_id) for each in made[1:]))
    assert await find(index, "x") == ids("0")


async def test_a_user_that_is_marked_is_unfilled_until_filled(index) -> None:
    await index.mark_unfilled("zoe")
    assert "zoe" in await index.unfilled()
    await index.mark_filled("zoe", IndexedTo())
    assert "zoe" not in await index.unfilled()


async def test_no_client_runs_code_in_an_engine_without_a_password(index) -> None:
    """Of a node of this run: that of a setting has its own rules."""
    await index.add(document("a", body="x"))
    ask = {"script_fields": {"x": {"script": {"source": "1 + 1"}}}}
    client = index._client._client
    with pytest.raises(OpenSearchException, match=r"cannot execute \[inline\] scripts"):
        await client.search(index=index._index, body=ask)
    elsewhere = {"remote": {"host": "http://127.0.0.1:9"}, "index": "a"}
    with pytest.raises(OpenSearchException, match=r"not (white|allow)listed"):
        await client.reindex(body={"source": elsewhere, "dest": {"index": "b"}})
