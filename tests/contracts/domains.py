"""Contract of the Domains port. Fixture: `directory`, an empty directory."""

import pytest

from mail.errors import AlreadyExists
from schemas.directory import Domain
from tests.contracts.directory_rows import (
    EXAMPLE,
    POSTMASTER,
    rows,
    settle,
    user,
)


class DomainsContract:
    async def test_a_domain_comes_with_its_postmaster(self, directory):
        await directory.add_domain(EXAMPLE, POSTMASTER)
        assert await rows(directory.list_domains) == [EXAMPLE]
        assert await directory.user_by_address("postmaster@example.org") == POSTMASTER

    async def test_a_domain_is_found_by_every_form_of_its_name(self, directory):
        written = Domain(domain_id="d9", name="BÜCHER.example", created_at_ms=1)
        master = user("u9", "postmaster@bücher.example", domain_id="d9")
        await directory.add_domain(written, master)
        found = await directory.domain("xn--bcher-kva.example")
        assert found == Domain(domain_id="d9", name="xn--bcher-kva.example", created_at_ms=1)
        assert await directory.domain("bücher.EXAMPLE") == found
        assert await directory.domain("bucher.example") is None

    async def test_a_domain_exists_once(self, directory):
        await settle(directory)
        again = Domain(domain_id="d2", name="EXAMPLE.ORG", created_at_ms=2)
        with pytest.raises(AlreadyExists):
            await directory.add_domain(again, user("u3", "root@example.org", domain_id="d2"))
        assert await rows(directory.list_domains) == [EXAMPLE]
        assert await directory.user("u3") is None

    async def test_a_domain_is_not_added_without_its_postmaster(self, directory):
        await settle(directory)
        other = Domain(domain_id="d2", name="example.net", created_at_ms=2)
        with pytest.raises(AlreadyExists):
            await directory.add_domain(other, user("u3", "BOB@example.org", domain_id="d2"))
        assert await rows(directory.list_domains) == [EXAMPLE]

    async def test_a_catch_all_leads_from_everything_of_its_domain(self, directory):
        await settle(directory)
        await directory.set_catch_all("d1", "bob@example.org")
        assert (await directory.domain("example.org")).catch_all == "bob@example.org"
        assert await directory.addresses_leading_to("bob@example.org") == ["*@example.org"]
        await directory.set_catch_all("d1", "")
        assert await directory.domain("example.org") == EXAMPLE
