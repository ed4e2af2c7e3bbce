"""index with real stores: destroyed messages never stay, and one user is not slow."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.index import index
from agents.mailbox import mailbox
from agents.ports import IndexPorts
from mail.ids import message_id
from schemas.events.mailbox_commands import DestroyMessages
from schemas.events.mailbox_events import MailboxChanged
from schemas.mailbox import TRASH, Message
from stores.memory import MemoryContentStore
from stores.sqlite.mail_store.store import SqliteMailStore
from stores.sqlite.search.index import SqliteSearchIndex
from streams.topology import STAGES
from streams.worker.in_flight_window import InFlightEvent, InFlightWindow
from tests.support.agent_builders import PLAIN, OneTry, deliver, mailbox_ports, order

(STAGE,) = (stage for stage in STAGES if stage.name == "index")
USERS = ("bob", "ann")


class SlowRows(SqliteMailStore):
    """Time passes between a row's reading and its use, as when the machine is busy."""

    rng = random.Random(0)

    async def message(self, user_id: str, message_id: str) -> Message | None:
        row = await super().message(user_id, message_id)
        await asyncio.sleep(self.rng.choice((0, 0, 0.005, 0.05)))
        return row


class Worker:
    """The stage over one partition; `kill` leaves what its disk holds, and a new one goes on."""

    def __init__(self, folder: Path, store: SqliteMailStore) -> None:
        self.log: list[MailboxChanged] = []
        self.acked = 0
        self.fatal: list[BaseException] = []
        self._folder = folder
        self._store = store
        self._contents = MemoryContentStore()
        self._boxes = mailbox_ports(store=store)
        self._begin()

    def _begin(self) -> None:
        self.search = SqliteSearchIndex(self._folder / "search")
        self._ports = IndexPorts(store=self._store, contents=self._contents, search=self.search)
        self._window = InFlightWindow(
            limit=STAGE.in_flight, ordered=STAGE.ordered, on_fatal=self.fatal.append
        )
        for event in self.log[self.acked :]:
            self._feed(event)

    def _feed(self, event: MailboxChanged) -> None:
        async def work() -> None:
            await index(event, OneTry(), self._ports)

        def ack() -> None:
            self.acked += 1

        key = event.user_id.encode()
        self._window.feed(InFlightEvent(key=key, size_bytes=1, work=work, ack=ack))

    async def command(self, command) -> None:
        work = OneTry(offset=len(self.log))
        event, *_ = await mailbox(command, work, self._boxes)
        work.published()
        self.log.append(event)
        self._feed(event)

    async def deliver(self, mail_id: str, user_id: str = "bob") -> None:
        await self._contents.put(mail_id, PLAIN)
        await self.command(deliver(mail_id, user_id=user_id, folder_id=TRASH))

    async def destroy(self, mail_id: str, user_id: str = "bob") -> None:
        seen = {"user_id": user_id, "unchanged_since_seq": len(self.log)}
        await self.command(order(DestroyMessages, f"gone {mail_id}", mail_id, **seen))

    async def kill(self) -> None:
        tasks, search = self._window.close(), self.search
        if tasks:
            await asyncio.wait(tasks)
        await search.close()  # an operation without a waiting caller is no longer written
        self._begin()

    async def done(self) -> None:
        while self.acked < len(self.log):
            assert not self.fatal
            await asyncio.sleep(0.01)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    store = await SlowRows.open(tmp_path / "mail.sqlite")
    made = Worker(tmp_path, store)
    yield made
    await made.search.close()
    await store.close()


@pytest.mark.parametrize("seed", range(3))
async def test_the_index_ends_with_what_is_there_whatever_interleaves_and_dies(
    worker: Worker, seed: int
) -> None:
    rng, wanted, gone = random.Random(seed), set(), set()
    for number in range(60):
        owned = (f"m{number}", rng.choice(USERS))
        await worker.deliver(*owned)
        wanted.add(owned)
        if rng.random() < 0.7:
            unlucky = owned if rng.random() < 0.7 else rng.choice(sorted(wanted))
            await asyncio.sleep(rng.choice((0, 0.01, 0.06)))
            await worker.destroy(*unlucky)
            wanted.remove(unlucky)
            gone.add(unlucky)
        if rng.random() < 0.08:
            await worker.kill()
    async with asyncio.timeout(60):
        await worker.done()
    everything = wanted | gone
    for user_id in USERS:
        ids = [message_id(mail_id, user_id) for mail_id, owner in everything if owner == user_id]
        known = await worker.search.indexed(user_id, ids)
        assert known == {message_id(*one) for one in wanted if one[1] == user_id}
    assert len(gone) > 20


async def test_one_user_is_not_bound_by_the_pauses_between_transactions(worker: Worker) -> None:
    """An import, which at one transaction after another, four a second, would take 75 s."""
    async with asyncio.timeout(20):
        for number in range(300):
            await worker.deliver(f"m{number}")
        await worker.done()
    ids = [message_id(f"m{number}", "bob") for number in range(300)]
    assert await worker.search.indexed("bob", ids) == set(ids)
