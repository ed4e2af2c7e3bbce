"""What every Holders does. Inherit, give a `holders` fixture, and the adapter is held to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.ids import new_id
from schemas.holders import DEAD_LETTERS_HOLDER, QUARANTINE_HOLDER, Holder
from tests.contracts.mail_store_reads import FEW

WRITES = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8)


def holder(mail_id: str, name: str) -> Holder:
    return Holder(mail_id=mail_id, holder=name, ref=f"ref-{mail_id}")


class HoldersContract:
    async def test_nobody_holds_an_unknown_mail(self, holders):
        assert await holders.list("m1") == []
        await holders.release("m1", "user:u1")

    async def test_all_holders_of_a_mail_in_order_and_of_no_other(self, holders):
        mine = [holder("m1", "user:u2"), holder("m1", "quarantine"), holder("m1", "user:u1")]
        await holders.hold([*mine, holder("m2", "user:u1")])
        assert await holders.list("m1") == sorted(mine, key=lambda row: row.holder)

    @pytest.mark.parametrize("kind", [QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER, "user"])
    async def test_holders_of_one_kind_are_read_by_pages(self, holders, kind):
        first, second = (kind, f"{kind}:1")
        others = ("message:7", "quarantine-2", "used", "user;", "dead_letter", "dead_letters0")
        await holders.hold([holder(f"m{n}", each) for n in (3, 1, 2) for each in (first, *others)])
        await holders.hold([holder("m1", second), holder("m4", second)])
        await holders.release("m2", first)
        held = [
            holder("m1", first),
            holder("m1", second),
            holder("m3", first),
            holder("m4", second),
        ]
        assert await holders.held_by(kind, limit=9) == held
        pages, after = [], ("", "")
        while page := await holders.held_by(kind, after=after, limit=1):
            pages += page
            after = (page[-1].mail_id, page[-1].holder)
        assert pages == held

    async def test_holding_again_changes_nothing(self, holders):
        row = holder("m1", "user:u1")
        await holders.hold([row, row])
        other_ref = Holder(mail_id="m1", holder="user:u1", ref="other")
        await holders.hold([other_ref, holder("m1", "user:u2")])
        assert await holders.list("m1") == [row, holder("m1", "user:u2")]

    async def test_nothing_to_hold(self, holders):
        await holders.hold([])
        assert await holders.list("m1") == []

    async def test_all_are_held_or_none(self, holders):
        def rows():
            yield holder("m1", "user:u1")
            raise OSError

        with pytest.raises(OSError):
            await holders.hold(rows())
        assert await holders.list("m1") == []

    async def test_a_release_is_of_one_holder(self, holders):
        await holders.hold([holder(mail, who) for mail in ("m1", "m2") for who in ("a", "b")])
        await holders.release("m1", "a")
        await holders.release("m1", "a")
        assert await holders.list("m1") == [holder("m1", "b")]
        assert await holders.list("m2") == [holder("m2", "a"), holder("m2", "b")]

    async def test_many_are_released_together(self, holders):
        await holders.hold([holder(mail, who) for mail in ("m1", "m2") for who in ("a", "b")])
        await holders.release_all([("m1", "a"), ("m1", "b"), ("m2", "a"), ("m3", "a")])
        assert await holders.any_held(["m1", "m2", "m3"]) == {"m2"}
        await holders.release_all([])
        assert await holders.list("m2") == [holder("m2", "b")]

    async def test_a_released_holder_is_not_held_again(self, holders):
        await holders.hold([holder("m1", "a"), holder("m1", "b")])
        await holders.release("m1", "a")
        await holders.hold([holder("m1", "a"), holder("m1", "c")])
        assert await holders.list("m1") == [holder("m1", "b"), holder("m1", "c")]
        await holders.release_all([("m1", "b"), ("m1", "c")])
        assert await holders.any_held(["m1"]) == set()

    async def test_a_release_before_its_hold_wins(self, holders):
        await holders.release("m1", "dead_letters:1")
        await holders.hold([holder("m1", "dead_letters:1")])
        assert await holders.list("m1") == []
        assert await holders.held_by(DEAD_LETTERS_HOLDER, limit=9) == []
        await holders.hold([holder("m1", "dead_letters:2")])
        assert await holders.any_held(["m1"]) == {"m1"}, "parked again: a holder of its own"

    @FEW
    @given(writes=WRITES)
    async def test_the_order_of_writes_does_not_matter(self, holders, writes):
        """The same writes in any order, with repeats, leave the same holders of a new mail."""
        mail_id = new_id()
        for name, is_release in writes:
            if is_release:
                await holders.release(mail_id, name)
            else:
                await holders.hold([holder(mail_id, name)])
        released = {name for name, is_release in writes if is_release}
        expected = {name for name, _ in writes} - released
        assert [row.holder for row in await holders.list(mail_id)] == sorted(expected)

    async def test_only_released_holders_of_the_named_mails_are_forgotten(self, holders):
        await holders.hold([holder(mail, who) for mail in ("m1", "m2") for who in ("a", "b")])
        await holders.release_all([("m1", "a"), ("m2", "a")])
        await holders.forget_released(["m1", "m3"])
        await holders.forget_released([])
        assert await holders.list("m1") == [holder("m1", "b")]
        await holders.hold([holder("m1", "a"), holder("m2", "a")])
        assert await holders.list("m1") == [holder("m1", "a"), holder("m1", "b")]
        assert await holders.list("m2") == [holder("m2", "b")]
