"""Stale holders of quarantine and dead letters are released, and no needed holder is."""

import pytest

from agents.background.stale_holders import StaleHolders
from agents.ports import StaleHolderPorts
from mail.errors import BrokerUnavailable
from schemas.content import Stored
from schemas.holders import DEAD_LETTERS_HOLDER, QUARANTINE_HOLDER, Holder
from schemas.ledger import DISCARDED, PARKED, REDRIVEN, STORED, Observation
from stores.memory import MemoryHolders, MemoryLedger, MemoryQuarantine
from tests.support.custody_world import Letters, Log, accepted, letter, quarantined


class Place:
    """Holders, and what they may be for."""

    def __init__(self) -> None:
        self.holders, self.quarantine = MemoryHolders(), MemoryQuarantine()
        self.letters, self.ledger, self.log = Letters(), MemoryLedger(), Log()
        self.leftovers = StaleHolders(
            StaleHolderPorts(
                holders=self.holders, quarantine=self.quarantine, dead_letters=self.letters,
                ledger=self.ledger, in_flight=self.log,
            )
        )  # fmt: skip

    async def hold(self, holder: str, *mail_ids: str) -> None:
        await self.holders.hold(Holder(mail_id=one, holder=holder, ref=one) for one in mail_ids)

    async def turn(self) -> list[str]:
        """Mails that are held then."""
        await self.leftovers.turn()
        return sorted(mail_id for mail_id, _ in self.holders.rows)


@pytest.fixture
def place() -> Place:
    return Place()


async def test_quarantine(place: Place) -> None:
    """Deleted long ago, and never released; still there; in the hands of scan right now."""
    await place.hold(QUARANTINE_HOLDER, "gone", "kept", "released", "scanned", "never")
    for name in ("gone", "kept", "released"):
        await place.quarantine.put(quarantined(name, content=Stored(name, 1, "")))
    await place.quarantine.delete("gone", by="olga", at_ms=1)
    await place.quarantine.release("released", by="olga", at_ms=1)
    place.log.there = {"scanned": frozenset({""})}
    assert await place.turn() == ["kept", "released", "scanned"]
    assert place.leftovers.released == 2


async def test_letters_that_the_ledger_has_forgotten(place: Place) -> None:
    await place.hold(DEAD_LETTERS_HOLDER, "parked", "sent-back", "discarded", "on-its-way")
    await place.hold("user:ann", "sent-back")
    states = {"parked": PARKED, "sent-back": REDRIVEN, "discarded": DISCARDED}
    place.letters.letters = [
        letter(name, f"0-{name}", state=state) for name, state in states.items()
    ] + [letter("on-its-way", state=REDRIVEN)]
    place.log.there = {"on-its-way": frozenset({"ann"})}
    assert await place.turn() == ["on-its-way", "parked", "sent-back"]
    assert [one.holder for one in await place.holders.list("sent-back")] == ["user:ann"]


async def test_a_mail_that_is_parked_again_meanwhile_keeps_its_content(place: Place) -> None:
    async def waiting(_ids):
        place.letters.letters.append(letter("m1", "0-2"))
        return {}

    await place.hold(DEAD_LETTERS_HOLDER, "m1")
    place.letters.letters = [letter("m1", state=REDRIVEN)]
    place.log.waiting = waiting
    assert await place.turn() == ["m1"]


async def test_what_the_ledger_looks_for_keeps_its_content(place: Place) -> None:
    """Its dead letter was in a lost log: the content is all that is left of a missing mail."""
    await place.ledger.add([accepted("missing"), accepted("stored")])
    await place.ledger.record([Observation(mail_id="stored", states={"ann": STORED})])
    await place.hold(DEAD_LETTERS_HOLDER, "missing", "stored")
    assert await place.turn() == ["missing"]


async def test_without_the_log_nothing_is_released(place: Place) -> None:
    async def waiting(_ids):
        raise BrokerUnavailable("odd")

    await place.hold(QUARANTINE_HOLDER, "m1")
    place.log.waiting = waiting
    with pytest.raises(BrokerUnavailable):
        await place.leftovers.turn()
    assert await place.holders.list("m1")


async def test_many_are_read_by_pages_and_the_log_only_for_what_is_left_over(place: Place) -> None:
    kept = [f"m{number:04d}" for number in range(1_200)]
    await place.hold(QUARANTINE_HOLDER, *kept)
    for name in kept:
        await place.quarantine.put(quarantined(name, content=Stored(name, 1, "")))
    assert await place.turn() == kept
    assert place.log.searches == 0
    await place.quarantine.delete(kept[777], by="olga", at_ms=1)
    assert await place.turn() == [one for one in kept if one != kept[777]]
