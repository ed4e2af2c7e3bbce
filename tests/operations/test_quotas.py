"""Quotas of users and domains over memory adapters."""

import pytest

from mail.errors import NotFound
from operations import accounts
from operations.quotas import UNLIMITED, QuotaChange, domain_quota, user_quota
from schemas.directory import QUOTA_UNSET, Quota
from schemas.mailbox import Usage
from stores.memory import MemoryDirectory, MemoryMailStore

ANN = "ann@here.test"
DEFAULT = Quota(size_bytes=1000, messages=0)


@pytest.fixture
async def directory() -> MemoryDirectory:
    directory = MemoryDirectory()
    await accounts.add_domain(directory, "here.test")
    await accounts.add_user(directory, ANN, "correct horse battery staple")
    return directory


@pytest.mark.parametrize(
    ("change", "kept", "in_force"),
    [
        (QuotaChange(), Quota(size_bytes=5, messages=7), Quota(size_bytes=5, messages=7)),
        (QuotaChange(messages=9), Quota(size_bytes=5, messages=9), Quota(size_bytes=5, messages=9)),
        (QuotaChange(start=UNLIMITED), UNLIMITED, Quota()),
        (QuotaChange(start=QUOTA_UNSET), QUOTA_UNSET, Quota(size_bytes=1000)),
        (
            QuotaChange(start=QUOTA_UNSET, messages=9),
            Quota(messages=9),
            Quota(size_bytes=1000, messages=9),
        ),
    ],
)
async def test_a_change_replaces_the_limits_that_it_names(
    directory: MemoryDirectory, change: QuotaChange, kept: Quota, in_force: Quota
) -> None:
    user = await accounts.get_user(directory, ANN)
    await directory.set_user_quota(user.user_id, Quota(size_bytes=5, messages=7))
    status = await user_quota(directory, MemoryMailStore(), ANN, change=change, default=DEFAULT)
    assert (await accounts.get_user(directory, ANN)).quota == kept
    assert (status.name, status.used, status.limits) == (ANN, Usage(), in_force)


async def test_a_domain_has_no_default(directory: MemoryDirectory) -> None:
    store = MemoryMailStore()
    status = await domain_quota(directory, store, "here.test", change=QuotaChange())
    assert status.limits == Quota()
    change = QuotaChange(size_bytes=5)
    status = await domain_quota(directory, store, "here.test", change=change)
    assert status.limits == (await accounts.get_domain(directory, "here.test")).quota
    assert status.limits.size_bytes == 5


async def test_unknown_names_are_not_found(directory: MemoryDirectory) -> None:
    store, change = MemoryMailStore(), QuotaChange(size_bytes=5)
    with pytest.raises(NotFound):
        await user_quota(directory, store, "x@here.test", change=change, default=DEFAULT)
    with pytest.raises(NotFound):
        await domain_quota(directory, store, "there.test", change=change)
