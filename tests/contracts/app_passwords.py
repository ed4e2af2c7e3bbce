"""Contract of the AppPasswords port. Fixture: `directory`, an empty directory."""

import asyncio

import pytest
from msgspec import structs

from mail.errors import NotFound
from mail.ports import APP_PASSWORDS_MAX, TooManyAppPasswords
from schemas.directory import AppPassword
from tests.contracts.directory_rows import settle


def app_password(number: int, user_id: str = "u1", **fields) -> AppPassword:
    row = AppPassword(
        app_password_id=f"a{number:03d}",
        user_id=user_id,
        name=f"Phone {number} é",
        scopes=("read", "send"),
        secret_sha256=f"hash {number}",
        created_at_ms=number,
    )
    return structs.replace(row, **fields)


class AppPasswordsContract:
    async def test_an_app_password_is_found_by_its_hash_and_user(self, directory):
        await settle(directory)
        row, other = app_password(1, scopes=("read",)), app_password(2, "u2")
        for each in (row, other):
            await directory.add_app_password(each)
        assert await directory.app_password("u1", "hash 1") == row
        assert await directory.app_password("u2", "hash 2") == other
        for user_id, secret_sha256 in (("u2", "hash 1"), ("", "hash 1"), ("u1", "hash 3")):
            assert await directory.app_password(user_id, secret_sha256) is None

    async def test_a_repeated_addition_changes_nothing(self, directory):
        await settle(directory)
        await directory.add_app_password(app_password(1))
        await directory.add_app_password(app_password(1, name="another name"))
        assert await directory.app_passwords("u1") == [app_password(1)]

    async def test_an_unknown_user_has_no_app_password(self, directory):
        await settle(directory)
        with pytest.raises(NotFound):
            await directory.add_app_password(app_password(1, "u9"))
        assert await directory.app_passwords("u9") == []

    async def test_app_passwords_are_listed_newest_first(self, directory):
        await settle(directory)
        made = [app_password(number, created_at_ms=number // 2) for number in range(4)]
        for each in (*made, app_password(9, "u2")):
            await directory.add_app_password(each)
        assert await directory.app_passwords("u1") == made[::-1]

    async def test_the_latest_use_is_kept(self, directory):
        await settle(directory)
        await directory.add_app_password(app_password(1))
        for at_ms, protocol in ((7, "imap"), (5, "pop3"), (7, "jmap")):
            await directory.use_app_password(
                "a001", at_ms=at_ms, protocol=protocol, network="192.0.2.7"
            )
        await directory.use_app_password("unknown", at_ms=9, protocol="imap", network="")
        used = app_password(1, used_at_ms=7, used_protocol="imap", used_network="192.0.2.7")
        assert await directory.app_passwords("u1") == [used]

    async def test_a_revoked_app_password_is_gone_and_only_its_owner_revokes_it(self, directory):
        await settle(directory)
        for number in (1, 2):
            await directory.add_app_password(app_password(number))
        for user_id, id_ in (("u2", "a001"), ("u1", "a009"), ("", "a001")):
            with pytest.raises(NotFound):
                await directory.revoke_app_password(user_id, id_)
        await directory.revoke_app_password("u1", "a001")
        with pytest.raises(NotFound):
            await directory.revoke_app_password("u1", "a001")
        assert await directory.app_password("u1", "hash 1") is None
        assert await directory.app_passwords("u1") == [app_password(2)]

    async def test_a_user_has_a_limited_number_also_of_additions_at_once(self, directory):
        await settle(directory)
        rows = [app_password(number) for number in range(APP_PASSWORDS_MAX + 3)]
        outcomes = await asyncio.gather(
            *map(directory.add_app_password, rows), return_exceptions=True
        )
        assert sum(isinstance(each, TooManyAppPasswords) for each in outcomes) == 3
        kept = await directory.app_passwords("u1")
        assert len(kept) == APP_PASSWORDS_MAX
        await directory.add_app_password(kept[0])  # a repetition is no addition
        await directory.add_app_password(app_password(900, "u2"))
        await directory.revoke_app_password("u1", kept[0].app_password_id)
        await directory.add_app_password(app_password(901))

    async def test_a_new_password_and_disabling_keep_app_passwords(self, directory):
        await settle(directory)
        await directory.add_app_password(app_password(1))
        await directory.set_password("u1", "other")
        await directory.set_disabled("u1", disabled=True)
        assert await directory.app_passwords("u1") == [app_password(1)]

    async def test_a_new_password_may_revoke_app_passwords_of_its_user_alone(self, directory):
        await settle(directory)
        for row in (app_password(1), app_password(2, "u2")):
            await directory.add_app_password(row)
        await directory.set_password("u1", "other", revoke_app_passwords=True)
        assert await directory.app_passwords("u1") == []
        assert await directory.app_passwords("u2") == [app_password(2, "u2")]
        with pytest.raises(NotFound):
            await directory.set_password("u9", "other", revoke_app_passwords=True)
