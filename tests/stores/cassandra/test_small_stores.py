"""Contract suites of the small stores on a real Cassandra node."""

import pytest

from schemas.holders import DEAD_LETTERS_HOLDER
from stores.cassandra.holders import CassandraHolders
from tests.contracts.holders import HoldersContract, holder

pytestmark = pytest.mark.distributed


class TestCassandraHolders(HoldersContract):
    @pytest.fixture
    def holders(self, session):
        return CassandraHolders(session)

    @pytest.mark.parametrize("skew_us", [-(10**9), 10**9])
    async def test_a_clock_that_is_wrong_changes_no_result(self, holders, session, skew_us):
        """Each write by a host whose clock is 1,000 s behind or ahead, in either order."""
        name = f"{DEAD_LETTERS_HOLDER}:1"
        skewed = CassandraHolders(Skewed(session, skew_us))
        await skewed.hold([holder("m1", name)])
        await holders.release("m1", name)
        await skewed.release("m2", name)
        await holders.hold([holder("m2", name)])
        await holders.hold([holder("m3", name)])
        await skewed.release("m3", name)
        await skewed.hold([holder("m4", name)])
        assert await holders.any_held(["m1", "m2", "m3", "m4"]) == {"m4"}
        assert await holders.held_by(DEAD_LETTERS_HOLDER, limit=9) == [holder("m4", name)]


class Skewed:
    """A session of a host whose clock is wrong."""

    def __init__(self, session, skew_us: int) -> None:
        self.read = session.read
        self._session = session
        self._skew_us = skew_us

    async def write(self, statements) -> None:
        await self._session.write([self._skewed(*statement) for statement in statements])

    def _skewed(self, cql: str, values):
        if cql.startswith("INSERT"):
            return cql, (*values[:-1], values[-1] + self._skew_us)
        return cql, (values[0] + self._skew_us, *values[1:])
