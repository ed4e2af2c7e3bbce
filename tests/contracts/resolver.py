"""Contract of the Resolver port.

Fixture: `resolver`, over the domain example.org with the users ann and bob, the group
all@example.org of both, and the alias annie@example.org of ann.
"""

import pytest

from mail.errors import BadAddress, NotFound, Refused


async def _user_ids(resolver, forward_path: str) -> list[str]:
    owners = await resolver.resolve(forward_path)
    assert all(owner.domain.domain_id == owner.user.domain_id for owner in owners)
    return sorted(owner.user.user_id for owner in owners)


class ResolverContract:
    @pytest.mark.parametrize(
        ("forward_path", "user_ids"),
        [
            ("ann@example.org", ["ann"]),
            ("ANN@Example.ORG", ["ann"]),
            ("ann+lists@example.org", ["ann"]),
            ("annie@example.org", ["ann"]),
            ("all@example.org", ["ann", "bob"]),
        ],
    )
    async def test_a_forward_path_has_owners_each_once(self, resolver, forward_path, user_ids):
        assert await _user_ids(resolver, forward_path) == user_ids

    async def test_postmaster_has_an_owner_with_and_without_a_domain(self, resolver):
        assert await _user_ids(resolver, "postmaster@example.org") == ["postmaster"]
        assert await _user_ids(resolver, "Postmaster") == ["postmaster"]

    async def test_an_unknown_local_part_raises_not_found(self, resolver):
        with pytest.raises(NotFound):
            await resolver.resolve("nobody@example.org")

    async def test_another_domain_is_refused(self, resolver):
        with pytest.raises(Refused):
            await resolver.resolve("ann@example.net")

    async def test_a_malformed_address_raises_bad_address(self, resolver):
        with pytest.raises(BadAddress):
            await resolver.resolve("ann@@example.org")
