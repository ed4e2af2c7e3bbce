"""Contract of the SignIns port. Fixture: `directory`, an empty directory."""

import asyncio

from msgspec import structs

from mail.ports import SIGN_INS_KEPT
from tests.contracts.directory_rows import (
    sign_in,
)


class SignInsContract:
    async def test_sign_ins_are_kept_apart_by_user_newest_first(self, directory):
        made = [sign_in(n, "u1", at_ms=n // 2) for n in range(5)]
        for each in (*made, made[0], sign_in(9, "u2"), sign_in(8, "")):
            await directory.add_sign_in(each)
        first = await directory.sign_ins("u1", limit=2)
        assert first == [made[4], made[3]]
        before = (first[-1].at_ms, first[-1].sign_in_id)
        assert await directory.sign_ins("u1", limit=9, before=before) == made[2::-1]
        assert await directory.sign_ins("", limit=9) == [sign_in(8, "")]
        assert await directory.prune_sign_ins(before_ms=2) == 4 + 2
        assert await directory.sign_ins("u1", limit=9) == [made[4]]

    async def test_a_sign_in_names_protocol_and_app_password(self, directory):
        row = structs.replace(
            sign_in(1, "u1", outcome="failure"), protocol="submission", app_password_id="a1",
            app_password_name="Phone", missing_scope="send",
        )  # fmt: skip
        await directory.add_sign_in(row)
        assert await directory.sign_ins("u1", limit=9) == [row]

    async def test_sign_ins_are_bounded_for_each_outcome(self, directory):
        many = [sign_in(n, "u1", at_ms=n, outcome="failure") for n in range(SIGN_INS_KEPT + 2)]
        first = sign_in(9_999, "u1", at_ms=0, outcome="success")
        await asyncio.gather(*map(directory.add_sign_in, (first, *many)))
        found = await directory.sign_ins("u1", limit=2 * SIGN_INS_KEPT)
        assert found == [*many[:1:-1], first]

    async def test_sources_are_where_a_sign_in_succeeded(self, directory):
        made = [
            structs.replace(sign_in(1, "u1", at_ms=5), device="laptop"),
            structs.replace(sign_in(2, "u1", at_ms=6), device="laptop"),
            structs.replace(sign_in(3, "u1", at_ms=7), peer="192.0.2.8"),
            structs.replace(sign_in(4, "u1", at_ms=7, outcome="failure"), peer="192.0.2.9"),
            structs.replace(sign_in(5, "u1", at_ms=4), peer="192.0.2.10"),
            structs.replace(sign_in(6, "u2", at_ms=7), peer="192.0.2.11"),
        ]
        for each in made:
            await directory.add_sign_in(each)
        found = await directory.sign_in_sources("u1", since_ms=5)
        assert sorted(found) == [("192.0.2.7", "laptop"), ("192.0.2.8", "")]
        assert made[0] in await directory.sign_ins("u1", limit=9)
