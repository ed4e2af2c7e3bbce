"""The change feed in parts: no change is lost or repeated with any limit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.change_feed import FeedPosition, parts_since, position_of
from mail.errors import JournalTruncated, Refused
from schemas.events.mailbox_commands import ChangeMessages, CreateFolder
from schemas.events.mailbox_events import MailboxChanged
from schemas.mailbox import FLAGGED, SEEN
from stores.memory import MemoryMailStore
from tests.support.mailbox_world import MailboxWorld

EPOCH = 7


def messages_of(step: MailboxChanged) -> list[tuple[int, str]]:
    return [(step.seq, change.message_id) for change in step.changes]


def folders_of(step: MailboxChanged) -> list[tuple[int, str]]:
    return [(step.seq, change.id) for change in step.folder_changes]


async def world_of(steps: list[int]) -> MailboxWorld:
    """A mailbox with steps that change so many messages; 0 creates a folder."""
    world = MailboxWorld()
    names = [f"m{number}" for number in range(max(steps, default=0))]
    await world.deliver(*names)
    for number, count in enumerate(steps):
        if count:
            word = {"add_keywords" if number % 2 else "remove_keywords": (SEEN,)}
            await world.order(ChangeMessages, *names[:count], **word, add_folder_ids=("archive",))
            await world.order(ChangeMessages, *names[:count], remove_folder_ids=("archive",))
        else:
            await world.order(CreateFolder, folder_id=f"f{number}", name=f"folder {number}")
    return world


async def read_all(store: MemoryMailStore, parts_of, limits: list[int]):
    """The parts by successive answers; each state goes through its text, as at a client."""
    read, position, answers = [], FeedPosition(0), 0
    while True:
        limit = limits[answers % len(limits)]
        part = await parts_since(store, "bob", position, parts_of, limit=limit)
        assert len(part.parts) <= limit
        assert part.position > position or not part.more
        read += part.parts
        position = position_of(part.position.state(EPOCH), EPOCH)
        assert position == part.position
        answers += 1
        if not part.more:
            assert part.position == FeedPosition(part.latest_seq)
            return read


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 9), max_size=6),
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
    st.sampled_from([messages_of, folders_of]),
)
async def test_parts_of_any_size_are_the_steps(steps, limits, parts_of) -> None:
    store = (await world_of(steps)).ports.store
    journal = await store.journal("bob", since_seq=0, limit=1_000)
    expected = [part for step in journal for part in parts_of(step)]
    assert await read_all(store, parts_of, limits) == expected


async def test_a_state_inside_a_step_names_the_step_before_it() -> None:
    """RFC 8620 §5.2: maxChanges smaller than a step; the intermediate state is a state."""
    world = await world_of([5])
    await world.order(ChangeMessages, "m0", add_keywords=(FLAGGED,))
    store = world.ports.store
    first = await parts_since(store, "bob", FeedPosition(5), messages_of, limit=2)
    assert (first.position.state(EPOCH), first.more) == ("7-5.2", True)
    second = await parts_since(store, "bob", first.position, messages_of, limit=3)
    assert (second.position.state(EPOCH), second.more) == ("7-6", True)
    third = await parts_since(store, "bob", first.position, messages_of, limit=500)
    assert (len(third.parts), third.more) == (3 + 5 + 1, False)
    assert (await parts_since(store, "bob", third.position, messages_of, limit=1)).parts == []


async def test_a_position_that_does_not_exist_is_gone() -> None:
    world = await world_of([3])
    store = world.ports.store
    for gone in (FeedPosition(9), FeedPosition(3, 4), FeedPosition(5, 1)):
        with pytest.raises(JournalTruncated):
            await parts_since(store, "bob", gone, messages_of, limit=9)
    assert (await parts_since(store, "bob", FeedPosition(3, 3), messages_of, limit=9)).parts
    await store.fold("bob", before_ms=2**50, to_seq=4)
    with pytest.raises(JournalTruncated):
        await parts_since(store, "bob", FeedPosition(3, 1), messages_of, limit=9)


@pytest.mark.parametrize(
    "state",
    ["", "7", "7-", "-5", "7-5.", "7-5.0", "07-5", "7-05", "7-5.01", "7-5 ", "7-5.2.1", "x-1"],
)
def test_a_malformed_state_is_refused(state: str) -> None:
    with pytest.raises(Refused):
        position_of(state, EPOCH)


def test_a_state_of_another_epoch_is_gone() -> None:
    with pytest.raises(JournalTruncated):
        position_of("6-5.2", EPOCH)
