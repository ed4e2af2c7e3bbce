"""Mail to a group: each owner holds the content, and the last destroyed message releases it."""

from collections.abc import Callable, Sequence

import msgspec
import pytest

from agents.background.content_sweeper import ContentSweeper, SweepConfig
from agents.mailbox import mailbox
from agents.ports import IntakePorts, SweepPorts
from agents.route import route
from mail.errors import ContentMissing
from operations.ports import ReleasePorts
from operations.quarantine import discard, release
from schemas.events.mail import MailScanned
from schemas.events.mailbox_commands import DestroyMessages, TrashMessages
from schemas.holders import QUARANTINE_HOLDER, Holder
from stores.memory import (
    MemoryContentStore,
    MemoryHolders,
    MemoryLedger,
    MemoryMailStore,
    MemoryOutlineStore,
    MemoryPublisher,
    MemoryQuarantine,
)
from tests.support.agent_builders import PLAIN, OneTry, mailbox_ports, order, scanned
from tests.support.custody_world import Log, quarantined

OWNERS = ("ann", "bob", "cid")
TURNS = 3


class Place:
    """Stores that all stages share; mail m1 goes to OWNERS."""

    def __init__(self) -> None:
        self.contents, self.holders = MemoryContentStore(), MemoryHolders()
        self.outlines = MemoryOutlineStore()
        self.quarantine, self.river = MemoryQuarantine(), MemoryPublisher()
        self.boxes = mailbox_ports(
            store=MemoryMailStore(), holders=self.holders, contents=self.contents
        )
        self._offset = 0

    async def deliver(self, event: MailScanned) -> None:
        intake = IntakePorts(
            contents=self.contents,
            outlines=self.outlines,
            holders=self.holders,
            quarantine=self.quarantine,
        )
        for command in await route(event, OneTry(), intake):
            await self.do(command)

    async def do(self, command) -> None:
        self._offset += 1
        await mailbox(command, OneTry(offset=self._offset), self.boxes)

    async def destroy(self, user: str) -> None:
        await self.do(order(TrashMessages, f"trash {user}", "m1", user_id=user))
        seen = {"user_id": user, "unchanged_since_seq": 2}
        await self.do(order(DestroyMessages, f"destroy {user}", "m1", **seen))
        (row,) = [row for row in await self.boxes.store.by_mail("m1") if row.user_id == user]
        assert row.destroyed

    async def sweep(self) -> None:
        ports = SweepPorts(
            contents=self.contents, outlines=self.outlines, holders=self.holders,
            quarantine=self.quarantine,
            in_flight=Log(),
        )  # fmt: skip
        now_s = 0.0
        sweeper = ContentSweeper(ports, SweepConfig(turns=TURNS), clock_s=lambda: now_s)
        for _ in range(TURNS + 1):
            now_s += 300.0
            await sweeper.turn()


async def inline(place: Place) -> None:
    await place.deliver(scanned(users=OWNERS))


async def stored(place: Place) -> None:
    content = await place.contents.put("m1", PLAIN)
    await place.deliver(msgspec.structs.replace(scanned(users=OWNERS), content=content))


async def quarantined_and_released(place: Place) -> None:
    """The quarantine's own hold ends when the operator deletes the row."""
    content = await place.contents.put("m1", PLAIN)
    holder = Holder(mail_id="m1", holder=QUARANTINE_HOLDER, ref=content.ref)
    await place.holders.hold([holder])
    await place.quarantine.put(quarantined("m1", *OWNERS, content=content))
    ports = ReleasePorts(
        quarantine=place.quarantine, contents=place.contents, holders=place.holders,
        ledger=MemoryLedger(),
    )  # fmt: skip
    await release("m1", ports, place.river, by="olga", at_ms=9, force=False, worker="w")
    (event,) = place.river.events
    assert event.released_by == "olga"
    await place.deliver(event)
    await discard("m1", ports, by="olga", at_ms=10)


@pytest.mark.parametrize("arrive", [inline, stored, quarantined_and_released])
@pytest.mark.parametrize("leaving", [OWNERS, OWNERS[::-1], ("bob", "cid", "ann")])
async def test_what_some_owners_destroy_the_others_still_open(
    arrive: Callable, leaving: Sequence[str]
) -> None:
    place = Place()
    await arrive(place)
    for number in range(len(leaving)):
        await place.sweep()
        left = leaving[number:]
        names = {one.holder for one in await place.holders.list("m1")}
        assert names == {f"user:{user}" for user in left}
        assert await place.contents.get("m1") == PLAIN
        await place.destroy(leaving[number])
    await place.sweep()
    with pytest.raises(ContentMissing):
        await place.contents.get("m1")
