"""Reads of one moment are one query, and share nothing else. Without a node."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from mail.errors import StoreUnavailable
from schemas.cql.tables import Table
from stores.cassandra.joined_reads import JoinedReads
from stores.cassandra.session import KEYS_MAX, CassandraSession, Row

TABLE = Table(name="things", partition=("name",), clustering=("part",), values=("value",))
ROWS = {"a": [("p1", 1), ("p2", 2)], "b": [("p1", 3)]}


class Node(CassandraSession):
    """Answers queries for ROWS; keeps which keys they named."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.error: StoreUnavailable | None = None

    async def read(self, cql: str, *values: Any) -> list[Row]:
        assert cql == "SELECT part, value FROM things WHERE name = ?"
        await self._answer(values)
        return list(ROWS.get(values[0], []))

    async def read_by_keys(self, cql: str, *values: Any, keys: Iterable[Any]) -> list[Row]:
        assert (cql, values) == ("SELECT name, part, value FROM things WHERE name IN ?", ())
        named = list(keys)
        await self._answer(named)
        return [(key, *row) for key in named for row in ROWS.get(key, [])]

    async def _answer(self, keys: Iterable[Any]) -> None:
        self.asked.append(sorted(keys))
        await self.may_answer.wait()
        if self.error:
            raise self.error


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def reads(node: Node) -> JoinedReads:
    return JoinedReads(node, TABLE, "part, value")


async def test_reads_of_one_moment_are_one_query(node: Node, reads: JoinedReads) -> None:
    node.may_answer.set()
    assert await reads.rows("a") == ROWS["a"]
    found = await asyncio.gather(*(reads.rows(name) for name in ("a", "b", "c", "a")))
    assert found == [ROWS["a"], ROWS["b"], [], ROWS["a"]]
    assert node.asked == [["a"], ["a", "b", "c"]]


async def test_a_later_read_does_not_get_an_earlier_answer(node: Node, reads: JoinedReads) -> None:
    early = asyncio.create_task(reads.rows("a"))
    await asyncio.sleep(0.01)
    late = asyncio.create_task(reads.rows("a"))
    await asyncio.sleep(0.01)
    assert node.asked == [["a"], ["a"]]
    node.may_answer.set()
    assert await early == await late == ROWS["a"]


async def test_a_query_has_a_limit(node: Node, reads: JoinedReads) -> None:
    node.may_answer.set()
    await asyncio.gather(*(reads.rows(f"n{number}") for number in range(KEYS_MAX + 1)))
    assert [len(keys) for keys in node.asked] == [KEYS_MAX, 1]


async def test_who_stops_waiting_disturbs_no_other(node: Node, reads: JoinedReads) -> None:
    tasks = [asyncio.create_task(reads.rows(name)) for name in ("a", "b")]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    await asyncio.sleep(0.01)
    node.may_answer.set()
    assert await tasks[1] == ROWS["b"]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]


async def test_an_error_comes_to_all_who_asked_and_the_next_query_is_sent(
    node: Node, reads: JoinedReads
) -> None:
    node.may_answer.set()
    node.error = StoreUnavailable("cassandra", "no answer")
    found = await asyncio.gather(*map(reads.rows, ("a", "b")), return_exceptions=True)
    assert found == [node.error, node.error]
    node.error = None
    assert await reads.rows("b") == ROWS["b"]
