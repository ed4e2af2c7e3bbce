"""release and discard, killed before each call of a port, then repeated or left to custody."""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agents.background.content_sweeper import ContentSweeper, SweepConfig
from agents.background.custodian import Custodian
from agents.mailbox import mailbox
from agents.ports import CustodyPorts, IntakePorts, SweepPorts
from agents.route import route
from mail.errors import NotFound
from operations.ports import ReleasePorts
from operations.quarantine import discard, publish_pending, release
from schemas.holders import QUARANTINE_HOLDER, Holder
from schemas.ledger import DISCARDED, QUARANTINED, STORED
from stores.memory import (
    MemoryContentStore,
    MemoryHolders,
    MemoryLedger,
    MemoryMailStore,
    MemoryOutlineStore,
    MemoryPublisher,
    MemoryQuarantine,
)
from tests.support.agent_builders import OneTry, mailbox_ports
from tests.support.custody_world import Log, accepted, quarantined

TURNS = 3
CALLS_MAX = 20


class Killed(BaseException):
    """The process ends here."""


class Killing:
    """A port that counts its calls and kills the process before one of them."""

    def __init__(self, port: Any, countdown: Callable[[], None]) -> None:
        self._port = port
        self._countdown = countdown

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self._countdown()
            return await getattr(self._port, name)(*args, **kwargs)

        return call


class Place:
    """A mail in quarantine, an operator, custody, and the stages after the scanners."""

    def __init__(self) -> None:
        self.quarantine, self.contents = MemoryQuarantine(), MemoryContentStore()
        self.holders, self.ledger = MemoryHolders(), MemoryLedger()
        self.store, self.river, self.log = MemoryMailStore(), MemoryPublisher(), Log()
        self.now_ms = 1_000
        ports = CustodyPorts(
            ledger=self.ledger, store=self.store, quarantine=self.quarantine,
            holders=self.holders, in_flight=self.log,
        )  # fmt: skip
        self.custodian = Custodian(ports, "e1", now_ms=lambda: self.now_ms)

    async def filled(self) -> "Place":
        content = await self.contents.put("m1", b"a mail that matters")
        await self.holders.hold([Holder(mail_id="m1", holder=QUARANTINE_HOLDER, ref="m1")])
        await self.quarantine.put(quarantined("m1", "ann", content=content))
        await self.custodian.take([accepted("m1")], [])
        await self.custody()
        assert await self.state() == QUARANTINED
        return self

    def ports(self, countdown: Callable[[], None]) -> ReleasePorts:
        return ReleasePorts(
            quarantine=Killing(self.quarantine, countdown),
            contents=Killing(self.contents, countdown),
            holders=Killing(self.holders, countdown),
            ledger=Killing(self.ledger, countdown),
        )

    async def release(self, kill_at: int = CALLS_MAX) -> bool:
        """Release, killed before call `kill_at` (from 1). Returns whether the release finished."""
        countdown = itertools.count(1)
        return await ended(
            release(
                "m1", self.ports(lambda: check(next(countdown), kill_at)),
                Killing(self.river, lambda: check(next(countdown), kill_at)),
                by="olga", at_ms=self.now_ms, force=False, worker="desk",
            ),
        )  # fmt: skip

    async def discard(self, kill_at: int = CALLS_MAX) -> bool:
        countdown = itertools.count(1)
        ports = self.ports(lambda: check(next(countdown), kill_at))
        return await ended(discard("m1", ports, by="olga", at_ms=self.now_ms))

    async def flow(self) -> None:
        intake = IntakePorts(
            contents=self.contents,
            outlines=MemoryOutlineStore(),
            holders=self.holders,
            quarantine=self.quarantine,
        )
        box = mailbox_ports(store=self.store, holders=self.holders)
        for event in self.river.events:
            for command in await route(event, OneTry(), intake):
                offset = (await self.store.load(command.user_id)).offset + 1
                await mailbox(command, OneTry(offset=offset), box)
        self.river.events.clear()

    async def custody(self) -> None:
        """Some minutes of custody: the custodian, unfinished releases, the sweep."""
        for _ in range(5):
            self.now_ms += 70_000
            plain = self.ports(lambda: None)
            await publish_pending(plain, self.river, now_ms=self.now_ms, worker="custody")
            await self.flow()
            await self.custodian.turn()
        await self.sweep()

    async def sweep(self) -> None:
        ports = SweepPorts(
            contents=self.contents, outlines=MemoryOutlineStore(), holders=self.holders,
            quarantine=self.quarantine,
            in_flight=self.log,
        )  # fmt: skip
        now_s = 0.0
        sweeper = ContentSweeper(ports, SweepConfig(turns=TURNS), clock_s=lambda: now_s)
        for _ in range(TURNS + 1):
            now_s += 300.0
            await sweeper.turn()

    async def state(self) -> str:
        return (await self.ledger.get("m1")).states["ann"]

    async def check_delivered(self) -> None:
        (message,) = await self.store.by_mail("m1")
        assert await self.contents.get(message.content.ref) == b"a mail that matters"
        assert await self.state() == STORED
        assert not (await self.quarantine.get("m1")).unpublished
        assert [one.holder for one in await self.holders.list("m1")] == ["user:ann"]
        assert self.custodian.totals.missing_mails == 0

    async def check_discarded(self) -> None:
        assert (await self.quarantine.get("m1")).deleted_at_ms is not None
        assert await self.state() == DISCARDED
        assert await self.holders.list("m1") == []
        assert await self.contents.missing(["m1"]) == ["m1"]

    async def check_quarantined(self) -> None:
        assert await self.state() == QUARANTINED
        assert await self.contents.missing(["m1"]) == []
        assert await self.quarantine.list(limit=9)


async def ended(work: Awaitable[object]) -> bool:
    try:
        await work
    except Killed:
        return False
    return True


def check(call: int, kill_at: int) -> None:
    if call == kill_at:
        raise Killed


def cuts() -> range:
    return range(1, CALLS_MAX)


@pytest.mark.parametrize("kill_at", cuts())
async def test_release_is_repeatable_after_a_kill(kill_at: int) -> None:
    place = await Place().filled()
    await place.release(kill_at)
    await place.sweep()
    assert await place.release()
    await place.custody()
    await place.check_delivered()


@pytest.mark.parametrize("kill_at", cuts())
async def test_a_release_that_is_not_repeated_is_made_by_custody_or_was_none(kill_at: int) -> None:
    place = await Place().filled()
    await place.release(kill_at)
    released = (await place.quarantine.get("m1")).released_at_ms is not None
    await place.custody()
    await (place.check_delivered() if released else place.check_quarantined())


@pytest.mark.parametrize("kill_at", cuts())
async def test_discard_is_repeatable_after_a_kill(kill_at: int) -> None:
    place = await Place().filled()
    ended = await place.discard(kill_at)
    await place.custody()
    if not ended:
        try:
            await place.discard()
        except NotFound:
            assert (await place.quarantine.get("m1")).deleted_at_ms is not None
    await place.custody()
    await place.check_discarded()


@pytest.mark.parametrize("kill_at", cuts())
async def test_a_discard_that_is_not_repeated_is_whole_or_was_none(kill_at: int) -> None:
    place = await Place().filled()
    await place.discard(kill_at)
    gone = (await place.quarantine.get("m1")).deleted_at_ms is not None
    await place.custody()
    await (place.check_discarded() if gone else place.check_quarantined())


@pytest.mark.parametrize("kill_at", cuts())
async def test_a_release_that_was_cut_short_and_then_discarded_is_delivered_whole_or_not_at_all(
    kill_at: int,
) -> None:
    place = await Place().filled()
    await place.release(kill_at)
    published = bool(place.river.events)
    place.log.there = {"m1": frozenset({""})} if published else {}
    await place.discard()
    await place.sweep()  # the released mail is still in the log
    place.log.there = {}
    await place.custody()
    if not published:
        await place.check_discarded()
        return
    (message,) = await place.store.by_mail("m1")
    assert await place.contents.get(message.content.ref) == b"a mail that matters"
    assert await place.state() == STORED
