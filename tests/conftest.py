"""Order of files on several pytest workers, and fixtures of a broker that tests share.

With `-n --dist loadfile` the suite runs file by file, in the random order of the run, except that
the files that take longest begin first.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.broker import Broker, started

LONGEST_FIRST = (
    "chaos/test_chaos.py",
    "paths/test_outages.py",
    "backup/test_backup_live.py",
    "two_workers/test_two_workers.py",
    "worker/test_workers.py",
    "paths/test_docs.py",
    "upgrade/test_upgrade.py",
    "system/test_benchmarks.py",
)


def _rank(item: pytest.Item) -> int:
    path = Path(item.path)
    name = f"{path.parent.name}/{path.name}"
    return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.hookimpl(trylast=True)  # after pytest-randomly has shuffled
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with started(tmp_path_factory.mktemp("shared_broker")) as broker:
        yield broker


@pytest.fixture
async def admin(shared_broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**shared_broker.bootstrap.options)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def producer(shared_broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    client = AIOKafkaProducer(**shared_broker.bootstrap.options, acks="all")
    await client.start()
    yield client
    await client.stop()
