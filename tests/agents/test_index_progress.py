"""How far the index has come: the mark rises exactly as far as no message is lacking."""

import pytest

from agents import index_progress
from agents.background.index_backfill import refill
from agents.index import index
from agents.index_progress import CHANGES_PER_LOOK, CHANGES_PER_LOOK_MAX, IndexProgress, look
from schemas.search import IndexedTo
from tests.mail.search.test_unindexed import Box
from tests.support.agent_builders import OneTry, change


@pytest.fixture
def bob() -> Box:
    return Box()


async def seq(bob: Box) -> int:
    return (await bob.index.indexed_to("bob")).seq


async def test_the_mark_stays_before_a_message_that_is_lacking(bob: Box) -> None:
    events = [await bob.deliver(f"m{n}") for n in range(4)]
    await bob.do(change("c1", "m1", add=["work"]))
    await index(events[0], OneTry(), bob.ports)
    assert await seq(bob) == 1  # the first event of a mailbox is looked at
    await index(events[3], OneTry(), bob.ports)
    await index(events[2], OneTry(), bob.ports)
    assert not await look("bob", bob.store, bob.index)
    assert await seq(bob) == 1
    await index(events[1], OneTry(), bob.ports)
    assert await look("bob", bob.store, bob.index)
    state = await bob.store.state("bob")
    assert await bob.index.indexed_to("bob") == IndexedTo(state.epoch, state.seq)
    assert await look("bob", bob.store, bob.index)


async def test_looks_are_rare_and_get_rarer_while_a_message_is_lacking() -> None:
    progress = IndexProgress()
    assert progress.begin_look("bob", created=1, changed=1)
    progress.end_look("bob", raised=True)
    due = [progress.begin_look("bob", created=1, changed=1) for _ in range(CHANGES_PER_LOOK)]
    assert due == [False] * (CHANGES_PER_LOOK - 1) + [True]
    for _ in range(20):
        progress.end_look("bob", raised=False)
    assert not progress.begin_look("bob", created=0, changed=CHANGES_PER_LOOK_MAX - 1)
    assert progress.begin_look("bob", created=0, changed=1)
    assert not progress.begin_look("ann", created=0, changed=CHANGES_PER_LOOK - 1)


async def test_a_message_that_stays_lacking_is_added_by_the_backfill(bob: Box, monkeypatch) -> None:
    for n in range(3):
        event = await bob.deliver(f"m{n}")
    del bob.contents.contents["m0"]  # its event is parked in dead letters
    await index(event, OneTry(), bob.ports)
    assert await seq(bob) == 0
    assert await refill(bob.ports) == 0
    monkeypatch.setattr(index_progress, "LAGGING_S", -1.0)
    assert bob.ports.progress.lagging() == ["bob"]
    assert await refill(bob.ports) == 2
    assert await seq(bob) == 3
    assert bob.ports.progress.lagging() == []


async def test_after_a_restore_the_mark_is_of_the_new_history(bob: Box) -> None:
    await bob.index.mark_indexed("bob", IndexedTo("before the restore", 99))
    await index(await bob.deliver("m1"), OneTry(), bob.ports)
    state = await bob.store.state("bob")
    assert await bob.index.indexed_to("bob") == IndexedTo(state.epoch, 1)
