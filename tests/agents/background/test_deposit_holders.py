"""The first hold on a deposit ends once its message exists, or once it is found nowhere twice."""

import pytest

from agents.background.deposit_holders import PAGE, DepositHolders
from agents.ports import DepositHolderPorts
from mail.errors import BrokerUnavailable
from mail.ids import holder_of, message_id, new_id
from schemas.holders import DEPOSIT_HOLDER, Holder
from schemas.ledger import DISCARDED, PARKED, DeadLetterState
from stores.memory import MemoryContentStore, MemoryHolders, MemoryMailStore
from tests.support.custody_world import Letters, Log, store_message


class World:
    def __init__(self) -> None:
        self.store, self.holders = MemoryMailStore(), MemoryHolders()
        self.contents, self.log, self.letters = MemoryContentStore(), Log(), Letters()
        self.job = DepositHolders(
            DepositHolderPorts(
                store=self.store, holders=self.holders, in_flight=self.log,
                dead_letters=self.letters,
            )
        )  # fmt: skip

    async def begin(self, mail_id: str | None = None) -> str:
        """Hold as the depositor does."""
        mail_id = mail_id or new_id()
        name = holder_of(mail_id, "ann", message_id(mail_id, "ann"))
        await self.holders.hold(
            Holder(mail_id=mail_id, holder=holder, ref=mail_id) for holder in (DEPOSIT_HOLDER, name)
        )
        return mail_id

    async def held(self, mail_id: str) -> list[str]:
        return [row.holder for row in await self.holders.list(mail_id)]


@pytest.fixture
def world() -> World:
    return World()


async def test_a_message_keeps_its_own_hold(world: World) -> None:
    mail_id = await world.begin()
    await store_message(world.store, world.contents, mail_id, "ann")
    await world.job.turn()
    assert await world.held(mail_id) == ["user:ann"]
    assert (world.log.searches, world.job.released) == (0, 0)


async def test_a_deposit_that_was_cut_short_is_released_at_the_second_look(world: World) -> None:
    mail_id = await world.begin()
    await world.job.turn()
    assert len(await world.held(mail_id)) == 2, "its command may come yet"
    await world.job.turn()
    assert await world.held(mail_id) == []
    assert world.job.released == 1


async def test_a_command_that_comes_between_two_looks_keeps_the_content(world: World) -> None:
    mail_id = await world.begin()
    await world.job.turn()
    await store_message(world.store, world.contents, mail_id, "ann")
    await world.job.turn()
    assert await world.held(mail_id) == ["user:ann"]


async def test_a_command_in_the_log_or_parked_keeps_the_content(world: World) -> None:
    in_log, parked = await world.begin(), await world.begin()
    world.log.there = {in_log: frozenset({"ann"})}
    letter = DeadLetterState(letter_id="0-1", state=PARKED, at_ms=1, mail_id=parked)
    world.letters.letters = [letter]
    for _ in range(3):
        await world.job.turn()
    assert [len(await world.held(each)) for each in (in_log, parked)] == [2, 2]
    world.log.there = {}
    world.letters.letters = [
        DeadLetterState(letter_id="0-1", state=DISCARDED, at_ms=1, mail_id=parked)
    ]
    await world.job.turn()
    assert len(await world.held(in_log)) == 2, "two looks in a row"
    await world.job.turn()
    assert [len(await world.held(each)) for each in (in_log, parked)] == [0, 0]


async def test_while_the_log_cannot_be_searched_nothing_is_released(world: World) -> None:
    mail_id = await world.begin()
    await world.job.turn()

    async def away(_mail_ids):
        raise BrokerUnavailable("down")

    world.log.waiting = away
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            await world.job.turn()
    assert len(await world.held(mail_id)) == 2


async def test_many_are_read_by_pages(world: World) -> None:
    mail_ids = [await world.begin() for _ in range(PAGE + 3)]
    for mail_id in mail_ids[::2]:
        await store_message(world.store, world.contents, mail_id, "ann")
    for _ in range(2):
        await world.job.turn()
    counts = [len(await world.held(mail_id)) for mail_id in mail_ids]
    assert counts == [1, 0] * (len(mail_ids) // 2) + [1] * (len(mail_ids) % 2)
