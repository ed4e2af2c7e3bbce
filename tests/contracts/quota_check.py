"""Contract of the QuotaCheck port.

Fixtures: `quota_check`, over a store where the user `full` has one message of 1,000 octets and the
user `empty` has none, both in the domain `d1`; `unreachable_quota_check`, whose store does not
answer.
"""

from schemas.directory import Domain, Owner, Quota, User


def owner(user_id: str, quota: Quota, *, of_domain: Quota | None = None) -> Owner:
    user = User(
        user_id=user_id,
        domain_id="d1",
        address=f"{user_id}@example.org",
        disabled=False,
        created_at_ms=1,
        quota=quota,
    )
    domain = Domain(domain_id="d1", name="example.org", created_at_ms=1, quota=of_domain or Quota())
    return Owner(user=user, domain=domain)


class QuotaCheckContract:
    async def test_without_a_quota_there_is_room(self, quota_check):
        assert await quota_check.has_room([owner("full", Quota())], size_bytes=10**9)

    async def test_a_mail_must_fit_into_the_octets_that_are_left(self, quota_check):
        owners = [owner("full", Quota(size_bytes=1_500))]
        assert await quota_check.has_room(owners, size_bytes=500)
        assert not await quota_check.has_room(owners, size_bytes=501)

    async def test_an_unknown_size_fits_while_any_room_is_left(self, quota_check):
        assert await quota_check.has_room([owner("full", Quota(size_bytes=1_001))], size_bytes=0)
        assert not await quota_check.has_room(
            [owner("full", Quota(size_bytes=1_000))], size_bytes=0
        )

    async def test_messages_are_limited_too(self, quota_check):
        assert not await quota_check.has_room([owner("full", Quota(messages=1))], size_bytes=1)
        assert await quota_check.has_room([owner("full", Quota(messages=2))], size_bytes=1)

    async def test_the_quota_of_the_domain_covers_all_its_users(self, quota_check):
        tight = Quota(messages=1)
        owners = [owner("empty", Quota(), of_domain=tight)]
        assert not await quota_check.has_room(owners, size_bytes=1)

    async def test_room_of_one_owner_is_enough(self, quota_check):
        tight = Quota(size_bytes=1_000)
        owners = [owner("full", tight), owner("empty", tight)]
        assert await quota_check.has_room(owners, size_bytes=1_000)
        assert not await quota_check.has_room(owners[:1], size_bytes=1_000)

    async def test_a_store_that_does_not_answer_leaves_room(self, unreachable_quota_check):
        owners = [owner("full", Quota(messages=1))]
        assert await unreachable_quota_check.has_room(owners, size_bytes=10**9)
