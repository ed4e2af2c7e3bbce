"""Contract of a Directory, which is all of its ports. Fixture: `directory`, an empty directory.

Inherit, and the adapter is held to the contract of each port, and to what concerns several ports.
"""

import pytest

from mail.errors import Refused
from mail.pagination import PAGE_MAX
from schemas.directory import Domain
from tests.contracts.addresses import AddressesContract
from tests.contracts.app_passwords import AppPasswordsContract
from tests.contracts.directory_rows import (
    ANN,
    BOB,
    EXAMPLE,
    POSTMASTER,
    leads,
    rows,
    settle,
    user,
)
from tests.contracts.domains import DomainsContract
from tests.contracts.operator_acts import OperatorActsContract
from tests.contracts.sessions import SessionsContract
from tests.contracts.settings import SettingsContract
from tests.contracts.sign_ins import SignInsContract
from tests.contracts.users import UsersContract


class DirectoryContract(
    DomainsContract,
    UsersContract,
    AddressesContract,
    AppPasswordsContract,
    SessionsContract,
    SignInsContract,
    OperatorActsContract,
    SettingsContract,
):
    async def test_an_empty_directory_knows_nobody(self, directory):
        assert await rows(directory.list_domains) == []
        assert await rows(directory.list_users) == []
        assert await directory.domain("example.org") is None
        assert await directory.user("u1") is None
        assert await directory.user_by_address("ann@example.org") is None
        assert await directory.session("t") is None
        assert await directory.setting("epoch") is None

    async def test_lists_are_in_order(self, directory):
        await settle(directory)
        second = Domain(domain_id="d0", name="another.org", created_at_ms=1)
        master = user("u5", "postmaster@another.org", domain_id="d0")
        await directory.add_domain(second, master)
        assert await rows(directory.list_domains) == [second, EXAMPLE]
        found = await rows(directory.list_users)
        assert sorted(found, key=lambda one: one.address) == [ANN, BOB, master, POSTMASTER]

    async def test_pages_hold_every_row_once_and_in_order(self, directory):
        await settle(directory)
        for number in (3, 1, 2):
            domain_id, name = f"d{number + 1}", f"{number}.example.org"
            master = user(f"m{number}", f"postmaster@{name}", domain_id=domain_id)
            domain = Domain(domain_id=domain_id, name=name, created_at_ms=1)
            await directory.add_domain(domain, master)
            await directory.add_alias(leads(f"a{number}@example.org", "bob@example.org"))
        for list_rows in (directory.list_domains, directory.list_users, directory.list_aliases):
            expected = await rows(list_rows)
            for limit in (1, 2, len(expected), len(expected) + 1):
                assert await rows(list_rows, limit=limit) == expected
            assert (await list_rows(limit=len(expected))).cursor is None

    async def test_a_page_has_a_limit(self, directory):
        for list_rows in (directory.list_domains, directory.list_users, directory.list_aliases):
            for limit in (0, PAGE_MAX + 1):
                with pytest.raises(Refused):
                    await list_rows(limit=limit)
