"""A content that cannot be read does not hold its partition; an unreachable store does."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from agents.ports import IntakePorts
from agents.validate import validate
from mail.errors import StoreUnavailable
from stores.memory import MemoryHolders, MemoryOutlineStore, MemoryQuarantine
from stores.sqlite.content_store import SqliteContentStore
from stores.sqlite.database_file import translate_error
from streams.codec import encode
from streams.config import StreamsConfig
from streams.topology import BY_NAME, stages_of
from streams.worker.context import WorkerContext
from streams.worker.event_handling import EventHandling, ReceivedEvent
from streams.worker.in_flight_window import InFlightEvent, InFlightWindow
from streams.worker.stage_handler import bind
from streams.worker.status import RoleStatus
from tests.streams.worker.test_event_handling import FakePublisher
from tests.support.agent_builders import received

NEIGHBOURS = 40


class Partition:
    """One partition of mail.received in front of the real handler and the real store."""

    def __init__(self, store: SqliteContentStore) -> None:
        self.publisher, self.status, self.acked = FakePublisher(), RoleStatus(), []
        (stage,) = [one for one in stages_of("intake") if one.name == "validate"]
        self._handling = EventHandling(
            stage=stage,
            topic=BY_NAME["mail.received"],
            epoch="e",
            handler=bind(
                validate,
                IntakePorts(
                    contents=store,
                    outlines=MemoryOutlineStore(),
                    holders=MemoryHolders(),
                    quarantine=MemoryQuarantine(),
                ),
            ),
            worker=WorkerContext(
                publisher=self.publisher,
                config=StreamsConfig(
                    bootstrap="", worker="w", data_folder=Path(), hold_first_s=0.005,
                    hold_cap_s=0.01, unreadable_tries=5, unreadable_s=0.05,
                ),
                status=self.status,
            ),
        )  # fmt: skip
        self.window = InFlightWindow(limit=stage.in_flight, ordered=False, on_fatal=print)

    def feed(self, offset: int, event) -> None:
        value = encode(event)
        arrival = ReceivedEvent(partition=0, offset=offset, key=b"k", value=value)
        self.window.feed(
            InFlightEvent(
                key=b"k",
                size_bytes=len(value),
                work=lambda: self._handling.handle(arrival, lambda: True),
                ack=lambda: self.acked.append(offset),
            )
        )


@pytest.fixture
async def store(tmp_path):
    opened = await SqliteContentStore.open(tmp_path / "content.sqlite", tmp_path / "content")
    yield opened
    await opened.close()


async def fed(store, tmp_path) -> Partition:
    """A large mail whose file is spoilt stands first, then its neighbours."""
    big = await store.put("m1aa", b"Subject: x\r\n\r\n" + b"x" * 200_000)
    place = tmp_path / "content" / "aa" / "m1aa"
    place.unlink()
    place.mkdir()  # stands for a bad sector: EIO, EISDIR and EACCES are alike
    partition = Partition(store)
    partition.feed(0, received(big, mail_id="m1aa"))
    for offset in range(1, NEIGHBOURS + 1):
        partition.feed(offset, received(mail_id=f"n{offset}"))
    return partition


async def test_one_file_that_cannot_be_read_is_parked_and_its_neighbours_go_on(
    store, tmp_path
) -> None:
    partition = await fed(store, tmp_path)
    async with asyncio.timeout(30):
        while len(partition.acked) <= NEIGHBOURS:
            await asyncio.sleep(0.01)
    ((_, letter),) = partition.publisher.dead
    assert letter.cause.startswith("Unreadable: ")
    assert len(partition.publisher.events) == NEIGHBOURS
    assert list((tmp_path / "content" / "incoming").iterdir()) == []  # no probe is left


async def test_a_folder_that_is_away_is_waited_for(store, tmp_path) -> None:
    partition = await fed(store, tmp_path)
    incoming = tmp_path / "content" / "incoming"
    incoming.rmdir()
    incoming.write_bytes(b"")  # nothing can be written there
    async with asyncio.timeout(30):
        while partition.status.events["validate", "held"] < 30:
            await asyncio.sleep(0.01)
    assert partition.publisher.dead == []
    assert partition.acked == []
    partition.window.close()


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.DatabaseError("x")
    error.sqlite_errorcode, error.sqlite_errorname = code, "X"
    return error


@pytest.mark.parametrize(
    ("code", "of_one"),
    [
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_CORRUPT_VTAB, True),
        (sqlite3.SQLITE_IOERR_READ, True),
        (sqlite3.SQLITE_IOERR_WRITE, False),
        (sqlite3.SQLITE_FULL, False),  # reads go on while a disk is full
        (sqlite3.SQLITE_BUSY, False),
    ],
)
def test_only_damage_of_pages_may_be_one_events(code, of_one) -> None:
    named = translate_error(sqlite_error(code), Path("mail.sqlite"), served_s=5.0)
    assert isinstance(named, StoreUnavailable)
    assert named.served_s == (5.0 if of_one else 0.0)
