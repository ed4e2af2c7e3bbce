"""Two owners of one partition with rules of two versions: 40 seeds of two_owners.py.

POSTRIVER_SEED is the first seed, POSTRIVER_SEEDS the number of seeds.
"""

import os

import pytest

from stores.cassandra.session import CassandraSession
from tests.stores.cassandra.conftest import ScopedSession
from tests.stores.cassandra.two_owners import run

pytestmark = pytest.mark.distributed
SEEDS = int(os.environ.get("POSTRIVER_SEEDS", "40"))
FIRST = int(os.environ.get("POSTRIVER_SEED", "0"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_no_cell_of_the_late_owner_survives(
    connected: CassandraSession, session: ScopedSession, seed: int
) -> None:
    await run(seed, connected, session.scope)
