"""Resolver and QuotaCheck over the directory and the mail store, held to their contracts."""

import pytest

from mail.directory.aliases import add_alias, add_members
from mail.directory.quotas import StoredQuotaCheck
from mail.directory.recipient_resolver import DirectoryResolver
from mail.errors import StoreUnavailable
from schemas.directory import Domain, Quota, User
from schemas.mailbox import Usage
from stores.memory import MemoryDirectory, MemoryMailStore
from tests.contracts.quota_check import QuotaCheckContract
from tests.contracts.resolver import ResolverContract

DOMAIN = Domain(domain_id="d1", name="example.org", created_at_ms=1)
USAGES = {"full": Usage(size_bytes=1_000, messages=1), "empty": Usage()}


def user(name: str) -> User:
    return User(
        user_id=name,
        domain_id=DOMAIN.domain_id,
        address=f"{name}@{DOMAIN.name}",
        disabled=False,
        created_at_ms=1,
    )


class TestDirectoryResolver(ResolverContract):
    @pytest.fixture
    async def resolver(self):
        directory = MemoryDirectory()
        await directory.add_domain(DOMAIN, user("postmaster"))
        for name in ("ann", "bob"):
            await directory.add_user(user(name))
        members = ("ann@example.org", "bob@example.org", "annie@example.org")
        await add_alias(directory, "annie@example.org", "ann@example.org", at_ms=1)
        await add_members(directory, "all@example.org", members, at_ms=1)
        return DirectoryResolver(directory, "mx.example.org")


class _Usages(MemoryMailStore):
    async def usage(self, user_id: str) -> Usage:
        return USAGES[user_id]

    async def domain_usage(self, domain_id: str) -> Usage:
        assert domain_id == DOMAIN.domain_id
        return USAGES["full"]


class TestStoredQuotaCheck(QuotaCheckContract):
    @pytest.fixture
    def quota_check(self):
        return StoredQuotaCheck(_Usages(), Quota())

    @pytest.fixture
    def unreachable_quota_check(self):
        def fault(_step: str) -> None:
            raise StoreUnavailable("mail", "gone")

        return StoredQuotaCheck(MemoryMailStore(fault=fault), Quota())
