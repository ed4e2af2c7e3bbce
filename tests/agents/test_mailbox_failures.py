"""mailbox: damage and unexpected errors stay within one mailbox, and its mail is kept."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agents.mailbox import mailbox
from agents.suspended_mailboxes import SuspendedMailboxes
from mail.errors import Fatal, JournalConflict
from mail.ids import message_id
from schemas.consistency import COUNTS, LISTS
from schemas.events.mailbox_commands import RebuildViews, TrashMessages
from schemas.events.mailbox_events import REBUILT, REFUSED, MailboxChanged
from schemas.mailbox import MailboxState
from stores.memory import MemoryDirectory, MemoryMailStore
from stores.sqlite.mail_store.store import SqliteMailStore
from streams.codec import encode
from streams.config import StreamsConfig
from streams.dead_letters.headers import letter, texts
from streams.topology import BY_NAME, stages_of
from streams.worker.context import WorkerContext
from streams.worker.event_handling import EventHandling, ReceivedEvent
from streams.worker.stage_handler import bind
from tests.support.agent_builders import change, deliver, mailbox_ports, order

(STAGE,) = stages_of("mailbox")
CONFIG = StreamsConfig(bootstrap="", worker="w", data_folder=Path(), unexpected_first_s=0.001)


class River:
    """Keeps events and dead letters."""

    def __init__(self) -> None:
        self.events: list = []
        self.letters: list = []

    async def publish(self, *events) -> None:
        self.events += events

    async def publish_raw(self, topic, key, value, headers, *, partition=None) -> None:
        self.letters.append(letter(texts(headers), key, value))


class Life:
    """One process of the role, as the harness drives it; `again` begins the next."""

    def __init__(self, store, directory: MemoryDirectory, offset: int = 0) -> None:
        self.store, self.directory, self.river = store, directory, River()
        self.ports = mailbox_ports(store=store, suspended=SuspendedMailboxes(directory))
        self.offset = offset
        self.handling = EventHandling(
            stage=STAGE,
            topic=BY_NAME[STAGE.reads],
            epoch="e1",
            handler=bind(mailbox, self.ports),
            worker=WorkerContext(publisher=self.river, config=CONFIG),
        )

    async def do(self, command):
        """The event that comes of it; None: it was parked."""
        return await self.redrive(encode(command))

    async def redrive(self, value: bytes):
        before = len(self.river.events)
        arrival = ReceivedEvent(partition=0, offset=self.offset, key=b"k", value=value)
        self.offset += 1
        await self.handling.handle(arrival, lambda: True)
        return self.river.events[-1] if len(self.river.events) > before else None

    def again(self) -> "Life":
        return Life(self.store, self.directory, self.offset)


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Life]:
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    life = Life(store, MemoryDirectory())
    for user_id in ("bob", "eve"):
        for mail in ("m1", "m2"):
            assert isinstance(await life.do(deliver(mail, user_id=user_id)), MailboxChanged)
    yield life.again()
    await store.close()


@pytest.fixture
def memory() -> Life:
    return Life(MemoryMailStore(), MemoryDirectory())


def damage(path: Path, statement: str, *values) -> None:
    """Of bob's mailbox; KEY in the statement is its key."""
    with sqlite3.connect(path / "mail.sqlite") as connection:
        (key,) = connection.execute(
            "SELECT mailbox_key FROM mailbox WHERE user_id = 'bob'"
        ).fetchone()
        changed = connection.execute(statement.replace("KEY", str(key)), values).rowcount
    connection.close()
    assert changed


STATE = msgspec.msgpack.encode(MailboxState())
DAMAGES = {
    "uid": ("INSERT INTO uid VALUES (KEY, 'inbox', 3, 1, 'm', 1, 0, 1, 1)",),
    "state": ("UPDATE mailbox SET state = x'c1' WHERE mailbox_key = KEY",),
    "state of the beginning": ("UPDATE mailbox SET state = ? WHERE mailbox_key = KEY", STATE),
    "state behind": ("UPDATE mailbox SET state = ?, seq = 0 WHERE mailbox_key = KEY", STATE),
    "row": ("UPDATE message SET message = x'c1' WHERE mailbox_key = KEY",),
    "row lost": ("DELETE FROM message WHERE mailbox_key = KEY",),
    "seq ahead": ("UPDATE mailbox SET seq = seq + 5 WHERE mailbox_key = KEY",),
}
REPEAT = deliver("m1")


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("uid", deliver("m3")),
        ("state", deliver("m3")),
        ("state", change("c", add=["a"])),
        ("state of the beginning", deliver("m3")),
        ("state of the beginning", change("c", add=["a"])),
        ("state behind", deliver("m3")),
        ("state behind", change("c", add=["a"])),
        ("row", change("c", add=["a"])),
        ("row", REPEAT),
        ("row lost", REPEAT),
    ],
)
async def test_damage_is_mended_in_the_mailboxs_own_turn(
    sqlite: Life, tmp_path: Path, kind: str, command
) -> None:
    """The cause that breaks the command does no other damage to the mailbox."""
    damage(tmp_path, *DAMAGES[kind])
    event = await sqlite.do(command)
    assert event.seq == (1 if command is REPEAT else 3)
    assert event in await sqlite.store.journal("bob", since_seq=0, limit=9)
    assert (await sqlite.do(deliver("m4", user_id="eve"))).seq == 3
    assert isinstance(await sqlite.do(deliver("m5")), MailboxChanged)
    assert sqlite.river.letters == []
    assert (await sqlite.store.check("bob")).differences == ()


async def test_a_journal_that_ends_too_early_is_not_written_on(
    sqlite: Life, tmp_path: Path
) -> None:
    damage(tmp_path, *DAMAGES["seq ahead"])
    assert await sqlite.do(deliver("m3")) is None
    assert "MailboxSetAside" in sqlite.river.letters[0].cause
    assert (await sqlite.do(deliver("m3", user_id="eve"))).seq == 3


async def test_what_cannot_be_mended_sets_its_user_aside(sqlite: Life, tmp_path: Path) -> None:
    """The user's commands are parked in every life of the process; other users are not affected."""
    entry = "UPDATE journal SET entry = ? WHERE journal_key = KEY << 32 | 1"
    (first, _) = await sqlite.store.journal("bob", since_seq=0, limit=2)
    damage(tmp_path, entry, b"\xc1")
    damage(tmp_path, *DAMAGES["uid"])
    commands = [deliver("m3"), order(TrashMessages, "c1", "m1"), deliver("m4")]
    life, letters = sqlite, []
    for command in commands:
        assert await life.do(command) is None
        assert (await life.do(deliver(command.command_id, user_id="eve"))).seq
        (parked,) = life.river.letters
        assert ("MailboxSetAside" in parked.cause, parked.value) == (True, encode(command))
        letters.append(parked)
        life = life.again()
    await life.ports.suspended.refresh()
    (warning,) = life.ports.suspended.warnings()
    assert "user bob is set aside since" in warning

    assert (await life.do(order(RebuildViews, "r1", parts=(LISTS,)))).outcome == REFUSED
    assert await life.do(deliver("m5")) is None
    damage(tmp_path, entry, msgspec.msgpack.encode(first))  # mended by hand, of a backup
    answer = await life.do(order(RebuildViews, "r2", parts=(COUNTS,)))
    assert (answer.outcome, "still set aside" in answer.detail) == (REFUSED, True)
    answer = await life.do(order(RebuildViews, "r3", parts=(LISTS,)))
    assert (answer.outcome, "no longer set aside" in answer.detail) == (REBUILT, True)
    assert life.ports.suspended.warnings() == []
    told = [await life.redrive(parked.value) for parked in letters]
    assert [event.seq for event in told] == [3, 4, 5]
    assert (await life.store.check("bob")).differences == ()


async def test_a_mailbox_too_large_for_a_turn_waits_for_an_operator(
    sqlite: Life, tmp_path: Path
) -> None:
    """A turn of minutes would pass for a partition that has come to a stand."""
    damage(tmp_path, *DAMAGES["uid"])
    sqlite.ports = replace(sqlite.ports, repair_max_messages=1)
    sqlite.handling = replace(sqlite.handling, handler=bind(mailbox, sqlite.ports))
    assert await sqlite.do(deliver("m3")) is None
    assert (await sqlite.do(order(RebuildViews, "r1", parts=(LISTS,)))).outcome == REBUILT
    assert (await sqlite.redrive(sqlite.river.letters[0].value)).seq == 3


async def test_a_mail_that_cannot_be_handled_is_parked_alone(memory: Life) -> None:
    """In a sound mailbox a delivery is at fault itself: no sender may stop a mailbox."""
    bad = message_id("bad", "bob")

    class Surprised(MemoryMailStore):
        async def rows_and_threads(self, user_id, message_ids, keys):
            if bad in message_ids:
                raise ZeroDivisionError
            return await super().rows_and_threads(user_id, message_ids, keys)

    life = Life(Surprised(), memory.directory)
    assert (await life.do(deliver("m1"))).seq == 1
    for number in range(3):
        assert await life.do(deliver("bad")) is None
        assert "5 attempts failed" in life.river.letters[-1].cause
        assert (await life.do(deliver(f"good{number}"))).seq == number + 2


async def test_a_mailbox_that_takes_no_commit_is_set_aside(memory: Life) -> None:
    assert (await memory.do(deliver("m1"))).seq == 1

    def full(step: str) -> None:
        if step == "journal":
            raise ValueError("no room for another seq")

    memory.store.fault = full
    assert await memory.do(deliver("m2")) is None
    assert "no room for another seq" in memory.river.letters[0].cause
    memory.store.fault = lambda _: None
    assert await memory.do(change("c1", add=["a"])) is None
    assert (await memory.do(order(RebuildViews, "r1", parts=(LISTS,)))).outcome == REBUILT
    told = [await memory.redrive(parked.value) for parked in memory.river.letters]
    assert [event.seq for event in told] == [2, 3]


@pytest.mark.parametrize("step", ["row", "state"])
async def test_what_the_journal_has_is_done(memory: Life, step: str) -> None:
    """The commit fails behind its journal entry: the views are finished, the event is published."""
    failures = [RuntimeError("nobody foresaw this")]

    def once(met: str) -> None:
        if met == step and failures:
            raise failures.pop()

    memory.store.fault = once
    event = await memory.do(deliver("m1"))
    assert (event.seq, failures, memory.river.letters) == (1, [], [])
    assert (await memory.store.message("bob", event.changes[0].message_id)) is not None
    assert memory.ports.states.get("bob") == await memory.store.load("bob")


async def test_a_second_writer_ends_the_process(memory: Life) -> None:
    """It is the journal that says so: the store has moved on since this one looked."""
    await memory.do(deliver("m1"))
    other = memory.again()
    await other.do(deliver("m2"))
    with pytest.raises(JournalConflict):
        await memory.do(deliver("m3"))
    assert issubclass(JournalConflict, Fatal)
    assert memory.river.letters == []
    assert (await memory.again().do(deliver("m3"))).seq == 3
