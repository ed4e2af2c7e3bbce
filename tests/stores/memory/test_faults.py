"""Faults of the memory adapters: a commit that ends at any step is completed later."""

import contextlib

import pytest

from mail.errors import BrokerUnavailable, JournalConflict, StoreUnavailable
from mail.mailbox.list_filters import NO_FILTER
from schemas.events.mailbox_events import CommandAnswered
from schemas.mailbox import FLAGGED, SEEN, MailboxState
from stores.memory import (
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryLiveEvents,
    MemoryMailboxStates,
    MemoryMailStore,
    MemoryPublisher,
    MemoryQuarantine,
)
from stores.memory.faults import no_fault
from tests.contracts.mail_store_reads import holds_what
from tests.contracts.mailboxes import Writer, another_command


class Ended(Exception):
    """The process died at this step."""


class EndAt:
    """Return a fault that ends the process once, before its `nth` step named `step`."""

    def __init__(self, step: str, nth: int = 1) -> None:
        self.step, self.left = step, nth

    def __call__(self, step: str) -> None:
        self.left -= step == self.step
        if step == self.step and self.left == 0:
            raise Ended


def answered(user_id: str, command_id: str = "c") -> CommandAnswered:
    return CommandAnswered(
        user_id=user_id, domain_id="d", command_id=command_id, outcome="unchanged"
    )


@pytest.mark.parametrize("step", ["journal", "row", "state"])
@pytest.mark.parametrize("finish", ["load", "commit", "next"])
async def test_a_commit_that_ended_at_a_step_is_finished(step, finish):
    ann = Writer()
    store = MemoryMailStore()
    await store.commit(ann.deliver("a"))
    commit = ann.mark("a", FLAGGED, SEEN)
    store.fault = EndAt(step)
    with pytest.raises(Ended):
        await store.commit(commit)
    written = step != "journal"
    assert len(await store.journal("ann", since_seq=0, limit=10)) == 1 + written
    if finish == "load":
        assert (await store.load("ann")).seq == 1 + written
    if finish == "next" and written:
        await store.commit(ann.deliver("b"))
    else:
        await store.commit(commit)
    await holds_what(store, ann)


async def test_reading_a_mailbox_finishes_no_commit_of_its_writer():
    ann = Writer()
    store = MemoryMailStore()
    await store.commit(ann.deliver("a"))
    before = await store.state("ann")
    store.fault = EndAt("state")
    with pytest.raises(Ended):
        await store.commit(ann.mark("a", SEEN))
    assert await store.state("ann") == before
    assert (await store.folders("ann"))[0].counts.unread == 1
    assert await store.load("ann") == ann.state == await store.state("ann")


async def test_views_lag_behind_a_journal_that_nobody_loaded():
    ann = Writer()
    store = MemoryMailStore(fault=EndAt("row"))
    with pytest.raises(Ended):
        await store.commit(ann.deliver("a"))
    page = await store.page("ann", "inbox", conditions=NO_FILTER, limit=1, cursor=None)
    assert page.messages == ()
    with pytest.raises(JournalConflict):
        await store.commit(another_command(Writer().deliver("a")))
    await store.load("ann")
    await holds_what(store, ann)


@pytest.mark.parametrize("steps", [2, 3])
async def test_a_late_step_of_a_lost_owner_overwrites_nothing_newer(steps):
    """A worker that lost the partition writes its row or state after the new owner's commits."""
    ann = Writer()
    store = MemoryMailStore()
    first, second = ann.deliver("a"), ann.mark("a", SEEN)
    lost = store.commit(first)
    for _ in range(steps):
        lost.send(None)
    assert await store.journal("ann", since_seq=0, limit=9) == [first.entry]
    assert await store.load("ann") == first.state
    await store.commit(second)
    with contextlib.suppress(StopIteration):
        while True:
            lost.send(None)
    await holds_what(store, ann)


async def test_every_fake_can_be_away_and_return():
    def away(step: str) -> None:
        raise StoreUnavailable("memory", step)

    fakes = {
        MemoryMailStore(): lambda fake: fake.load("ann"),
        MemoryDirectory(): lambda fake: fake.list_users(limit=1),
        MemoryQuarantine(): lambda fake: fake.list(limit=1),
        MemoryHolders(): lambda fake: fake.list("m"),
        MemoryContentStore(): lambda fake: fake.put("m", b""),
    }
    for fake, call in fakes.items():
        fake.fault = away
        with pytest.raises(StoreUnavailable):
            await call(fake)
        fake.fault = no_fault
        await call(fake)


async def test_a_publisher_keeps_what_it_acknowledged():
    publisher = MemoryPublisher()
    await publisher.publish(answered("ann"), answered("bob"))

    def away(step: str) -> None:
        raise BrokerUnavailable(step)

    publisher.fault = away
    with pytest.raises(BrokerUnavailable):
        await publisher.publish(answered("cy"))
    assert publisher.events == [answered("ann"), answered("bob")]


def test_a_copy_is_proven_by_set_until_doubt_or_a_new_assignment():
    unread = MemoryMailboxStates()
    assert unread.get("ann") is None
    for loses in (lambda: unread.doubt("ann"), unread.reassign):
        unread.set("ann", MailboxState(seq=3))
        assert unread.get("ann") == MailboxState(seq=3)
        assert unread.get("bob") is None
        loses()
        assert unread.get("ann") is None
        assert unread.states["ann"] == MailboxState(seq=3)


def test_a_feed_hands_events_to_the_sinks_of_their_user():
    feed = MemoryLiveEvents()
    first, second, other = [], [], []
    leave = feed.subscribe("ann", first.append)
    feed.subscribe("ann", second.append)
    feed.subscribe("bob", other.append)
    feed.emit(answered("ann", "1"))
    leave()
    leave()
    feed.emit(answered("ann", "2"), answered("cy", "3"))
    assert first == [answered("ann", "1")]
    assert second == [answered("ann", "1"), answered("ann", "2")]
    assert other == []
    assert feed.subscribers("ann") == 1
