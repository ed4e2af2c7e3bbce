"""Contract of the Users port. Fixture: `directory`, an empty directory."""

import asyncio

import pytest

from mail.errors import AlreadyExists, BadAddress, NotFound
from schemas.directory import Quota
from tests.contracts.directory_rows import (
    ANN,
    rows,
    settle,
    user,
)


class UsersContract:
    async def test_a_user_is_found_by_every_form_of_the_address_and_shown_as_added(self, directory):
        await settle(directory)
        assert await directory.user_by_address("ann.lee@EXAMPLE.org") == ANN
        assert await directory.user_by_address('"ANN.LEE"@example.org') == ANN
        assert await directory.user("u1") == ANN

    async def test_a_plus_address_is_not_resolved_here(self, directory):
        await settle(directory)
        assert await directory.user_by_address("bob+news@example.org") is None

    async def test_an_address_exists_once(self, directory):
        await settle(directory)
        with pytest.raises(AlreadyExists):
            await directory.add_user(user("u3", "ANN.LEE@example.org"))
        with pytest.raises(AlreadyExists):
            await directory.add_user(user("u1", "else@example.org"))
        assert await directory.user("u3") is None
        assert await directory.user_by_address("else@example.org") is None

    async def test_of_two_who_take_an_address_at_once_one_has_it(self, directory):
        await settle(directory)
        both = [user(f"u{number}", "new@example.org") for number in (7, 8)]
        outcomes = await asyncio.gather(*map(directory.add_user, both), return_exceptions=True)
        assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 1
        won = both[outcomes.index(None)]
        assert await directory.user_by_address("new@example.org") == won

    async def test_a_call_repeated_as_it_was_changes_nothing(self, directory):
        await settle(directory)
        await directory.set_password("u1", "new hash")
        await settle(directory)
        found = await directory.user("u1")
        assert found is not None
        assert found.password_hash == "new hash"
        assert len(await rows(directory.list_users)) == 3

    async def test_a_user_needs_a_domain_and_an_address(self, directory):
        await settle(directory)
        with pytest.raises(NotFound):
            await directory.add_user(user("u3", "kim@example.net", domain_id="d2"))
        with pytest.raises(BadAddress):
            await directory.add_user(user("u3", "no address"))
        assert await directory.user("u3") is None

    async def test_who_is_not_there_cannot_be_changed(self, directory):
        await settle(directory)
        with pytest.raises(NotFound):
            await directory.set_password("u9", "hash")
        with pytest.raises(NotFound):
            await directory.set_disabled("u9", disabled=True)

    async def test_a_quota_says_what_it_was_told_last_of_each_part(self, directory):
        await settle(directory)
        await directory.set_user_quota("u1", Quota(size_bytes=5, messages=0))
        await directory.set_domain_quota("d1", Quota(messages=7))
        found = (await directory.find(["ann.lee@example.org"]))["ann.lee@example.org"]
        assert found.quota == Quota(size_bytes=5, messages=0)
        assert (await directory.user("u2")).quota == Quota()
        assert (await directory.domain("example.org")).quota == Quota(messages=7)
        assert (await directory.domain_by_id("d1")).quota == Quota(messages=7)
        await directory.set_user_quota("u1", Quota())
        assert await directory.user("u1") == ANN

    async def test_rows_added_between_pages_cause_no_repeat_and_no_gap(self, directory):
        await settle(directory)
        first = await directory.list_users(limit=1)
        added = [user("u3", "aaron@example.org"), user("u4", "carol@example.org")]
        for each in added:
            await directory.add_user(each)
        rest = await directory.list_users(cursor=first.cursor, limit=9)
        assert rest.cursor is None
        shown = [row.user_id for row in first.rows + rest.rows]
        assert len(set(shown)) == len(shown), "no repeat"
        assert {"u0", "u1", "u2"} <= set(shown), "no gap"

    async def test_nobodys_quota_and_catch_all_cannot_be_set(self, directory):
        await settle(directory)
        assert await directory.domain_by_id("d9") is None
        for act in (
            directory.set_user_quota("u9", Quota()),
            directory.set_domain_quota("d9", Quota()),
            directory.set_catch_all("d9", "bob@example.org"),
        ):
            with pytest.raises(NotFound):
                await act

    async def test_a_role_is_kept_until_it_is_changed(self, directory):
        await settle(directory)
        await directory.set_role("u1", "operator")
        await settle(directory)  # a repeated addition changes nothing
        assert (await directory.user("u1")).role == "operator"
        assert (await directory.user("u2")).role == "user"
        await directory.set_role("u1", "user")
        assert await directory.user("u1") == ANN
        with pytest.raises(NotFound):
            await directory.set_role("u9", "operator")
