"""Contract of the Addresses port. Fixture: `directory`, an empty directory."""

import asyncio

import pytest

from mail.errors import AlreadyExists, NotFound
from schemas.directory import Alias
from tests.contracts.directory_rows import (
    BOB,
    leads,
    rows,
    settle,
    user,
)


class AddressesContract:
    async def test_an_alias_leads_where_it_was_made_to_lead(self, directory):
        await settle(directory)
        news = leads("news@example.org", "bob@example.org")
        await directory.add_alias(news)
        await directory.add_alias(news)
        assert await rows(directory.list_aliases) == [news]
        asked = ["bob@example.org", "news@example.org", "nobody@example.org"]
        assert await directory.find(asked) == {asked[0]: BOB, asked[1]: news}
        assert await directory.find([]) == {}
        with pytest.raises(AlreadyExists):
            await directory.add_alias(leads("news@example.org", "ann.lee@example.org"))
        assert await rows(directory.list_aliases) == [news]

    async def test_a_group_grows_and_shrinks(self, directory):
        await settle(directory)
        await directory.add_alias(leads("all@example.org", "bob@example.org", is_group=True))
        more = leads("all@example.org", "ann.lee@example.org", "bob@example.org", is_group=True)
        await directory.add_alias(more)
        assert await rows(directory.list_aliases) == [more]
        assert await directory.addresses_leading_to("bob@example.org") == ["all@example.org"]
        await directory.remove_target("all@example.org", "bob@example.org")
        assert await directory.addresses_leading_to("bob@example.org") == []
        assert (await rows(directory.list_aliases))[0].targets == ("ann.lee@example.org",)
        for gone in ("all@example.org", "nothing@example.org"):
            with pytest.raises(NotFound):
                await directory.remove_target(gone, "bob@example.org")

    async def test_of_two_who_add_members_at_once_both_have_added(self, directory):
        await settle(directory)
        both = [leads("all@example.org", one, is_group=True) for one in ("a@b.org", "c@d.org")]
        await asyncio.gather(*map(directory.add_alias, both))
        assert (await rows(directory.list_aliases))[0].targets == ("a@b.org", "c@d.org")

    async def test_an_address_is_a_users_or_an_aliass(self, directory):
        await settle(directory)
        await directory.add_alias(leads("all@example.org", "bob@example.org", is_group=True))
        with pytest.raises(AlreadyExists):
            await directory.add_user(user("u3", "ALL@example.org"))
        for taken in ("bob@example.org", "all@example.org"):
            with pytest.raises(AlreadyExists):
                await directory.add_alias(leads(taken, "ann.lee@example.org"))
        with pytest.raises(NotFound):
            await directory.add_alias(
                Alias(
                    address="x@example.net", domain_id="d2", is_group=False,
                    targets=("bob@example.org",), created_at_ms=8,
                )
            )  # fmt: skip
        assert len(await rows(directory.list_aliases)) == 1
        assert await directory.find(["bob@example.org"]) == {"bob@example.org": BOB}

    async def test_a_removed_alias_leaves_nothing_and_its_address_is_free(self, directory):
        await settle(directory)
        await directory.add_alias(leads("all@example.org", "bob@example.org", is_group=True))
        await directory.remove_alias("all@example.org")
        assert await rows(directory.list_aliases) == []
        assert await directory.addresses_leading_to("bob@example.org") == []
        with pytest.raises(NotFound):
            await directory.remove_alias("all@example.org")
        await directory.add_alias(leads("all@example.org", "ann.lee@example.org"))
        assert (await rows(directory.list_aliases))[0].targets == ("ann.lee@example.org",)
