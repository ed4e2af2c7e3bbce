"""release and discard of a mail in quarantine, down to the mailbox."""

import pytest

from agents.mailbox import mailbox
from agents.ports import IntakePorts
from agents.route import route
from mail.errors import BrokerUnavailable, ContentMissing, NotFound, Refused
from mail.mailbox.list_filters import NO_FILTER
from operations.ports import ReleasePorts
from operations.quarantine import discard, publish_pending, release
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
from stores.memory.faults import no_fault
from tests.support.agent_builders import OneTry, mailbox_ports
from tests.support.custody_world import quarantined

PEOPLE = ("ann", "bob")


class Desk:
    """The ports of an operator, and the stages after the scanners."""

    def __init__(self) -> None:
        self.river, self.store = MemoryPublisher(), MemoryMailStore()
        self.ports = ReleasePorts(
            quarantine=MemoryQuarantine(),
            contents=MemoryContentStore(),
            holders=MemoryHolders(),
            ledger=MemoryLedger(),
        )

    async def keep(self, mail_id: str, reason: str = "spam") -> None:
        content = await self.ports.contents.put(mail_id, b"bytes")
        holder = Holder(mail_id=mail_id, holder=QUARANTINE_HOLDER, ref=content.ref)
        await self.ports.holders.hold([holder])
        row = quarantined(mail_id, *PEOPLE, content=content, reason=reason)
        await self.ports.quarantine.put(row)

    async def release(self, mail_id: str, *, force: bool = False, by: str = "olga"):
        return await release(
            mail_id, self.ports, self.river, by=by, at_ms=9, force=force, worker="desk"
        )

    async def flow(self) -> None:
        """Every published event through route and mailbox."""
        intake = IntakePorts(
            contents=self.ports.contents,
            outlines=MemoryOutlineStore(),
            holders=self.ports.holders,
            quarantine=self.ports.quarantine,
        )
        box = mailbox_ports(store=self.store, holders=self.ports.holders)
        for event in self.river.events:
            for command in await route(event, OneTry(), intake):
                offset = (await self.store.load(command.user_id)).offset + 1
                await mailbox(command, OneTry(offset=offset), box)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_released_twice_is_delivered_once_to_every_inbox(desk: Desk) -> None:
    await desk.keep("m1")
    assert (await desk.release("m1")).released_at_ms is None
    assert (await desk.release("m1", by="pavel")).released_by == "olga"
    await desk.flow()
    for user in PEOPLE:
        page = await desk.store.page(user, "inbox", conditions=NO_FILTER, limit=9, cursor=None)
        (message,) = page.messages
        assert message.verdict.outcome == "spam", "the verdict stays what it was"
        (hop,) = [hop for hop in message.hops if hop.stage == "release"]
        assert (hop.verdict, hop.worker) == ("released by olga", "desk")
    row = await desk.ports.quarantine.get("m1")
    assert (row.released_by, row.released_at_ms) == ("olga", 9)


async def test_infected_mail_wants_force(desk: Desk) -> None:
    await desk.keep("m1", "infected")
    with pytest.raises(Refused, match="--force"):
        await desk.release("m1")
    assert desk.river.events == []
    await desk.release("m1", force=True)
    assert len(desk.river.events) == 1


async def test_what_cannot_be_delivered_is_not_released(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await desk.release("m1")
    await desk.keep("m1")
    del desk.ports.contents.contents["m1"]
    with pytest.raises(Refused, match="content is gone"):
        await desk.release("m1")
    assert (await desk.ports.quarantine.get("m1")).released_at_ms is None


async def test_what_the_broker_did_not_take_is_published_by_custody(desk: Desk) -> None:
    def away(step: str) -> None:
        raise BrokerUnavailable(step)

    async def pending(now_ms: int) -> int:
        return await publish_pending(desk.ports, desk.river, now_ms=now_ms, worker="custody")

    await desk.keep("m1")
    desk.river.fault = away
    with pytest.raises(BrokerUnavailable):
        await desk.release("m1")
    row = await desk.ports.quarantine.get("m1")
    assert (row.released_by, row.unpublished) == ("olga", True)
    with pytest.raises(BrokerUnavailable):
        await pending(70_000)
    desk.river.fault = no_fault
    assert await pending(60_000) == 0, "its command may be at work"
    assert await pending(60_009) == 1
    assert await pending(99_999) == 0
    (event,) = desk.river.events
    assert (event.released_by, event.hops[-1].worker) == ("olga", "custody")


async def test_a_release_without_content_is_parked_not_delivered(desk: Desk) -> None:
    await desk.keep("m1")
    await desk.release("m1")
    del desk.ports.contents.contents["m1"]
    with pytest.raises(ContentMissing):
        await desk.flow()


async def test_deleted_mail_is_gone_for_good(desk: Desk) -> None:
    await desk.keep("m1")
    await discard("m1", desk.ports, by="olga", at_ms=9)
    assert await desk.ports.holders.list("m1") == [], "the rest is the sweep's"
    with pytest.raises(NotFound):
        await desk.release("m1")
    with pytest.raises(NotFound):
        await discard("m1", desk.ports, by="olga", at_ms=9)


async def test_a_content_that_others_need_stays(desk: Desk) -> None:
    await desk.keep("m1")
    await desk.release("m1")
    await discard("m1", desk.ports, by="olga", at_ms=9)  # before route has held it
    await desk.flow()
    assert await desk.ports.contents.missing(["m1"]) == []
    await desk.keep("m2")
    await desk.ports.holders.hold([Holder(mail_id="m2", holder="dead_letters", ref="m2")])
    await discard("m2", desk.ports, by="olga", at_ms=9)
    assert await desk.ports.contents.missing(["m2"]) == []
