"""Contract suites of the small stores on a real Cassandra node."""

import asyncio

import pytest

from mail.ids import dated_id
from schemas.holders import DEAD_LETTERS_HOLDER
from stores.cassandra.holders import CassandraHolders
from stores.cassandra.quarantine import CassandraQuarantine
from tests.contracts.holders import HoldersContract, holder
from tests.contracts.quarantine import QuarantineContract, quarantined

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


class TestCassandraQuarantine(QuarantineContract):
    @pytest.fixture
    def quarantine(self, session):
        return CassandraQuarantine(session)

    async def test_days_are_listed_newest_first(self, quarantine):
        noon_ms = 1_700_000_000_000
        ids = [dated_id(noon_ms + number * 43_200_000, str(number)) for number in range(5)]
        for mail_id in (ids[3], ids[0], ids[4], ids[2], ids[1]):
            await quarantine.put(quarantined(mail_id))
        shown = await quarantine.list(limit=3)
        rest = await quarantine.list(limit=3, before=shown[-1].mail_id)
        assert [row.mail_id for row in shown + rest] == ids[::-1]

    async def test_of_operators_at_once_the_first_release_stays(self, quarantine):
        await quarantine.put(quarantined("m1"))
        names = [f"operator {number}" for number in range(4)]
        await asyncio.gather(*(quarantine.release("m1", by=name, at_ms=7) for name in names))
        (row,) = await quarantine.list_unpublished(limit=9)
        assert row.released_by in names


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
