"""audit over memory adapters: states, sums, and mail that moves during the audit."""

import pytest

from mail.errors import BrokerUnavailable
from operations import audit as module
from operations.ports import AuditPorts
from schemas.ledger import (
    DISCARDED,
    EVERYONE,
    IN_FLIGHT,
    MISSING,
    PARKED,
    QUARANTINED,
    REDRIVEN,
    STORED,
    AuditReport,
)
from stores.memory import MemoryContentStore, MemoryLedger, MemoryMailStore, MemoryQuarantine
from tests.support.custody_world import Letters, Log, accepted, letter, quarantined, store_message


class Books:
    def __init__(self, log: Log | None = None) -> None:
        self.contents = MemoryContentStore()
        self.log, self.letters = log or Log(), Letters()
        self.ports = AuditPorts(
            ledger=MemoryLedger(),
            store=MemoryMailStore(),
            quarantine=MemoryQuarantine(),
            contents=self.contents,
            letters=self.letters,
            in_flight=self.log,
        )

    async def enter(self, *mails) -> None:
        await self.ports.ledger.add(mails)

    async def stored(self, mail_id: str, user: str = "ann") -> None:
        await store_message(self.ports.store, self.contents, mail_id, user)

    async def audit(self) -> AuditReport:
        account = await module.audit(self.ports, since_ms=0, until_ms=10_000, pause_s=0)
        assert sum(account.counts.values()) == account.deliveries
        assert account.counts.get(MISSING, 0) == len(account.lost)
        return account


def names(account: AuditReport) -> list[tuple[str, str]]:
    return [(one.mail_id, one.user_id) for one in account.lost]


async def test_each_delivery_counts_once_in_its_state() -> None:
    books = Books()
    await books.enter(
        accepted("both", "ann", "bob"), accepted("q"), accepted("deleted"), accepted("parked"),
        accepted("given-up"), accepted("flying", "ann", "bob"), accepted("lost", "ann", "bob"),
        accepted("later", at_ms=10_000),
    )  # fmt: skip
    await books.stored("both")
    await books.stored("both", "bob")
    await books.stored("flying")
    await books.stored("lost")
    content = await books.contents.put("q", b"bytes")
    for name in ("q", "deleted"):
        await books.ports.quarantine.put(quarantined(name, content=content))
    await books.ports.quarantine.delete("deleted", by="olga", at_ms=5)
    books.letters.letters = [letter("parked"), letter("given-up", "0-2", state=DISCARDED)]
    books.log.there = {"flying": frozenset({"bob"}), "lost": frozenset({"ann"})}
    account = await books.audit()
    assert (account.mails, account.deliveries) == (7, 10)
    assert account.counts == {
        STORED: 4, QUARANTINED: 1, DISCARDED: 2, PARKED: 1, IN_FLIGHT: 1, MISSING: 1,
    }  # fmt: skip
    assert names(account) == [("lost", "bob")]


@pytest.mark.parametrize("kind", ["message", "quarantine", "letter"])
async def test_what_has_lost_its_content_is_missing(kind: str) -> None:
    books = Books()
    await books.enter(accepted("m1", "ann", "bob"), accepted("m2", "ann", "bob"))
    for name in ("m1", "m2"):
        content = await books.contents.put(name, b"bytes")
        if kind == "message":
            await books.stored(name)
            await books.stored(name, "bob")
        elif kind == "quarantine":
            await books.ports.quarantine.put(quarantined(name, "ann", "bob", content=content))
        else:
            books.letters.letters.append(letter(name, name, ref=content.ref))
    assert (await books.audit()).lost == ()
    del books.contents.contents["m2"]
    account = await books.audit()
    assert names(account) == [("m2", "ann"), ("m2", "bob")]
    assert account.lost[0].why == "content m2 is gone"


async def test_a_letter_that_was_sent_back_is_no_end() -> None:
    books = Books()
    await books.enter(accepted("m1"), accepted("m2"))
    books.letters.letters = [letter("m1", state=REDRIVEN), letter("m2", "0-2", state=REDRIVEN)]
    books.log.there = {"m2": frozenset({EVERYONE})}
    assert names(await books.audit()) == [("m1", "ann")]


async def test_a_mail_that_moves_while_it_is_counted_is_found() -> None:
    class Moves(Log):
        async def waiting(self, mail_ids):
            if self.searches:
                await books.stored("m1")
            return await super().waiting(mail_ids)

    books = Books(Moves())
    await books.enter(accepted("m1"))
    account = await books.audit()
    assert account.counts == {STORED: 1}
    assert books.log.searches == 2


async def test_pages_and_an_empty_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    books = Books()
    assert (await books.audit()).mails == 0
    await books.enter(*(accepted(f"m{n}", at_ms=n // 2) for n in range(10)))
    for number in range(9):
        await books.stored(f"m{number}")
    account = await books.audit()
    assert (account.mails, names(account)) == (10, [("m9", "ann")])


async def test_without_the_log_nothing_is_proven_of_what_the_stores_do_not_have() -> None:
    class Away(Log):
        async def waiting(self, mail_ids):
            raise BrokerUnavailable("away")

    books = Books(Away())
    await books.enter(accepted("m1"))
    with pytest.raises(BrokerUnavailable):
        await books.audit()
    await books.stored("m1")
    assert (await books.audit()).counts == {STORED: 1}
