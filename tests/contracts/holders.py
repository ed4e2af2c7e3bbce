"""What every Holders does. Inherit, give a `holders` fixture, and the adapter is held to it."""

import pytest

from schemas.holders import DEAD_LETTERS_HOLDER, QUARANTINE_HOLDER, Holder


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

    @pytest.mark.parametrize("name", [QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER, "user:u1"])
    async def test_mails_of_one_name_are_read_by_pages(self, holders, name):
        names = (QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER, "user:u1")
        await holders.hold([holder(f"m{n}", each) for n in (3, 1, 2) for each in names])
        await holders.release("m2", name)
        await holders.hold([holder("m4", name)])
        assert await holders.held_by(name, after="", limit=2) == [
            holder("m1", name),
            holder("m3", name),
        ]
        assert await holders.held_by(name, after="m3", limit=2) == [holder("m4", name)]
        assert await holders.held_by(name, after="m4", limit=2) == []

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
