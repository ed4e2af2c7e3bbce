"""Contracts of the three ledger ports, and of a Ledger, which is all three. Fixture: `ledger`."""

import pytest

from mail.ids import message_id
from mail.ports import Ledger
from schemas.ledger import (
    DISCARDED,
    GONE,
    OPEN,
    PARKED,
    REDRIVEN,
    STORED,
    AcceptedMail,
    DeadLetterState,
    LedgerEntry,
    LedgerTotals,
    LogPlace,
    Observation,
)


def mail(
    name: str, at_ms: int, *user_ids: str, header: str = "", place: LogPlace | None = None
) -> AcceptedMail:
    return AcceptedMail(
        mail_id=name,
        accepted_at_ms=at_ms,
        user_ids=user_ids or ("ann",),
        message_id_header=header,
        place=place,
    )


def place(epoch: str, partition: int, offset: int) -> LogPlace:
    return LogPlace(epoch=epoch, partition=partition, offset=offset)


def closed(name: str, *user_ids: str, header: str = "", reopened: int = 0) -> Observation:
    states = dict.fromkeys(user_ids or ("ann",), STORED)
    return Observation(mail_id=name, states=states, message_id_header=header, reopened=reopened)


async def due(
    ledger: Ledger, now_ms: int, *, limit: int = 100, horizon_ms: int = 10**12
) -> list[str]:
    found = await ledger.due(now_ms=now_ms, limit=limit, horizon_ms=horizon_ms)
    return [entry.mail_id for entry in found]


async def all_of(ledger: Ledger) -> list[str]:
    found = await ledger.accepted(since_ms=0, until_ms=10**9, limit=100)
    return [entry.mail_id for entry in found]


class LedgerWriterContract:
    async def test_a_mail_is_entered_once_and_stays_as_it_was(self, ledger):
        assert await ledger.add([mail("m1", 5, "ann", "bob"), mail("m2", 6)]) == 2
        assert await ledger.add([mail("m1", 99, "eve"), mail("m3", 7), mail("m3", 8)]) == 1
        entry = LedgerEntry(mail_id="m1", accepted_at_ms=5, states={"ann": OPEN, "bob": OPEN})
        assert await ledger.get("m1") == entry
        assert await all_of(ledger) == ["m1", "m2", "m3"]

    async def test_letters_of_a_log_that_is_gone_open_their_mails(self, ledger):
        names = {"m1": "1:a", "m2": "1:ab", "m3": "1:a", "m4": "0:z"}
        await ledger.add([mail(name, 1) for name in names])
        await ledger.record_dead_letters(
            DeadLetterState(letter_id=f"{epoch}/0-{name}", state=PARKED, at_ms=3, mail_id=name)
            for name, epoch in names.items()
        )
        await ledger.record_dead_letters(
            [DeadLetterState(letter_id="0:z/0-m4", state=DISCARDED, at_ms=4)]
        )
        await ledger.record([closed(name, reopened=2 if name == "m4" else 1) for name in names])
        assert await due(ledger, 9) == []
        assert await ledger.mark_dead_letters_gone(epoch="1:a") == 1
        assert await ledger.mark_dead_letters_gone(epoch="1:a") == 0
        assert await due(ledger, 9) == ["m2"]
        states = {one.mail_id: one.state for one in await ledger.dead_letters(names)}
        assert states == {"m1": PARKED, "m2": GONE, "m3": PARKED, "m4": DISCARDED}

    @pytest.mark.parametrize("then", [REDRIVEN, DISCARDED])
    async def test_a_letter_goes_on_and_its_mail_is_looked_at_again(self, ledger, then):
        await ledger.add([mail("m1", 1), mail("m2", 2)])
        await ledger.record([closed("m1"), closed("m2")])
        parked = DeadLetterState(
            letter_id="0-1", state=PARKED, at_ms=3, mail_id="m1", user_id="ann"
        )
        await ledger.record_dead_letters(
            [parked, DeadLetterState(letter_id="0-9", state=then, at_ms=4)]
        )
        assert await ledger.dead_letters(["m1", "m2"]) == [parked]
        assert await due(ledger, 1) == ["m1"]
        await ledger.record([closed("m1", reopened=1)])
        await ledger.record_dead_letters(
            [DeadLetterState(letter_id="0-1", state=then, at_ms=7), parked]
        )
        (letter,) = await ledger.dead_letters(["m1"])
        assert (letter.state, letter.at_ms, letter.user_id) == (then, 7, "ann")
        assert await due(ledger, 1) == ["m1"]

    async def test_old_mails_are_forgotten_open_ones_never(self, ledger):
        await ledger.add([mail(f"m{n}", n, "ann", "bob", header="h@x") for n in range(1, 6)])
        letter = DeadLetterState(letter_id="0-1", state=PARKED, at_ms=3, mail_id="m1")
        await ledger.record_dead_letters([letter])
        marks = [closed(f"m{n}", "ann", "bob", reopened=int(n == 1)) for n in (1, 3, 4, 5)]
        assert len(await ledger.record(marks)) == 4
        assert await ledger.prune(before_ms=5, limit=2) == 2
        assert await ledger.prune(before_ms=5, limit=2) == 1
        assert await all_of(ledger) == ["m2", "m5"]
        assert await ledger.dead_letters(["m1"]) == []
        assert await ledger.by_message(message_id("m1", "ann")) is None
        assert [e.mail_id for e in await ledger.list_by_header("h@x")] == ["m5", "m2"]
        found = await ledger.list_of_user("bob", since_ms=0, until_ms=9, limit=9)
        assert [e.mail_id for e in found] == ["m5", "m2"]


class OpenMailsContract:
    async def test_what_is_open_is_due_until_it_is_closed(self, ledger):
        await ledger.add([mail("m1", 50), mail("m2", 20), mail("m3", 30)])
        assert await ledger.newest_accepted_ms() == 50
        assert await due(ledger, 40) == ["m2", "m3"]
        assert await due(ledger, 99, limit=1) == ["m2"]
        later = Observation(mail_id="m3", states={"ann": OPEN}, look_at_ms=70, missing_since_ms=60)
        assert await ledger.record([closed("m2"), later, closed("nobody")]) == {"m2", "m3"}
        assert await due(ledger, 60) == ["m1"]
        assert await due(ledger, 70) == ["m1", "m3"]
        assert (await ledger.get("m2")).states == {"ann": STORED}
        assert (await ledger.get("m3")).missing_since_ms == 60
        shown = LedgerTotals(open_mails=2, missing_mails=1, oldest_open_at_ms=30)
        assert await ledger.totals() == shown
        await ledger.record([closed("m3")])
        assert (await ledger.totals()).missing_mails == 0
        await ledger.reopen(["m2", "nobody"], at_ms=80)
        assert await due(ledger, 79) == ["m1"]
        assert await due(ledger, 80) == ["m1", "m2"]

    async def test_a_mark_does_not_undo_what_was_done_since_the_look(self, ledger):
        await ledger.add([mail("m1", 1), mail("m2", 2), mail("m3", 3)])
        await ledger.reopen(["m1"], at_ms=0)
        looked = {e.mail_id: e for e in await ledger.due(now_ms=9, limit=9, horizon_ms=9)}
        assert [looked[name].reopened for name in ("m1", "m2", "m3")] == [1, 0, 0]
        await ledger.reopen(["m1"], at_ms=0)
        letter = DeadLetterState(letter_id="e/0-1", state=PARKED, at_ms=3, mail_id="m2")
        await ledger.record_dead_letters([letter])
        looks = [closed(name, reopened=entry.reopened) for name, entry in looked.items()]
        assert await ledger.record(looks) == {"m3"}
        assert await due(ledger, 9) == ["m1", "m2"]
        assert await ledger.record([closed("m3")]) == set(), "it is closed"
        assert await ledger.record([closed("m1", reopened=2), closed("m2", reopened=1)]) == {
            "m1",
            "m2",
        }
        assert await due(ledger, 9) == []

    async def test_what_a_clock_put_too_far_ahead_is_due_last(self, ledger):
        await ledger.add([mail("m1", 100), mail("m2", 40), mail("m3", 5), mail("m4", 21)])
        assert await due(ledger, 10, horizon_ms=20) == ["m3", "m2", "m1"]
        assert await due(ledger, 10, horizon_ms=20, limit=2) == ["m3", "m2"]
        assert await due(ledger, 10, horizon_ms=89) == ["m3", "m1"]


class LedgerReaderContract:
    async def test_a_span_of_time_is_read_by_pages(self, ledger):
        await ledger.add([mail(f"m{n}", 10 + n // 2) for n in (5, 1, 4, 2, 3, 0)])
        shown, after = [], None
        while page := await ledger.accepted(since_ms=10, until_ms=12, limit=3, after=after):
            shown += [entry.mail_id for entry in page]
            after = (page[-1].accepted_at_ms, page[-1].mail_id)
        assert shown == ["m0", "m1", "m2", "m3"]

    async def test_mails_are_found_by_their_owner_and_time(self, ledger):
        await ledger.add([mail("m1", 1, "ann", "bob"), mail("m2", 2), mail("m3", 3, "bob")])
        found = await ledger.list_of_user("bob", since_ms=1, until_ms=4, limit=9)
        assert [entry.mail_id for entry in found] == ["m3", "m1"]
        assert await ledger.list_of_user("bob", since_ms=2, until_ms=3, limit=9) == []
        assert len(await ledger.list_of_user("bob", since_ms=1, until_ms=4, limit=1)) == 1

    async def test_mails_are_found_by_message_id_header_once_it_is_known(self, ledger):
        await ledger.add([mail("m1", 1, header="a@x"), mail("m2", 2), mail("m3", 3)])
        await ledger.record([closed("m3", header="a@x"), closed("m1")])
        assert [e.mail_id for e in await ledger.list_by_header("a@x")] == ["m3", "m1"]
        assert await ledger.list_by_header("A@x") == []
        assert await ledger.list_by_header("") == []

    async def test_a_message_leads_to_its_mail(self, ledger):
        await ledger.add([mail("m1", 1, "ann", "bob"), mail("m2", 2, "bob")])
        assert await ledger.by_message(message_id("m2", "bob")) == ("m2", "bob")
        assert await ledger.by_message(message_id("m1", "ann")) == ("m1", "ann")
        assert await ledger.by_message(message_id("m2", "ann")) is None

    async def test_the_place_in_the_log_of_a_mail_that_came_once(self, ledger):
        first, second = place("e1", 2, 7), place("e2", 2, 7)
        await ledger.add([mail("m1", 1, place=first), mail("m2", 2), mail("m3", 3, place=second)])
        await ledger.add([mail("m1", 1, place=first)])
        assert await ledger.places(["m1", "m2", "m3", "m4"]) == {"m1": first, "m3": second}

    @pytest.mark.parametrize("other", [("e2", 2, 7), ("e1", 3, 7), ("e1", 2, 8), None])
    async def test_a_mail_with_several_records_has_no_place(self, ledger, other):
        later = place(*other) if other else None
        await ledger.add([mail("m1", 1, place=place("e1", 2, 7))])
        assert await ledger.add([mail("m1", 1, place=later)]) == 0
        assert await ledger.places(["m1"]) == {}
        await ledger.add([mail("m1", 1, place=place("e1", 2, 7))])
        assert await ledger.places(["m1"]) == {}, "the other record may still be there"
        await ledger.record([closed("m1")])
        assert await ledger.prune(before_ms=9, limit=9) == 1
        assert await ledger.add([mail("m1", 1, place=later)]) == 1
        assert await ledger.places(["m1"]) == ({"m1": later} if later else {})


class LedgerContract(LedgerWriterContract, OpenMailsContract, LedgerReaderContract):
    async def test_an_empty_one(self, ledger):
        assert await ledger.get("m1") is None
        assert await due(ledger, 10**9) == []
        assert await ledger.list_by_header("x@y") == []
        assert await ledger.by_message("x") is None
        assert await ledger.dead_letters(["m1"]) == []
        assert await ledger.prune(before_ms=10**9, limit=9) == 0
        assert await ledger.newest_accepted_ms() is None
        nothing = LedgerTotals(open_mails=0, missing_mails=0, oldest_open_at_ms=None)
        assert await ledger.totals() == nothing
