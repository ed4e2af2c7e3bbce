"""Order of files on several pytest workers, and fixtures of a broker that tests share.

With `-n --dist loadscope` a worker takes the suite file by file, in the random order of the run,
except that what takes longest begins first. A folder whose tests share one stack is one piece of
work, so that the stack runs once and ends with its folder.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from xdist.scheduler import LoadScopeScheduling

from tests.support import ROOT
from tests.support.broker import Broker, started

WHOLE_FOLDERS = ("tests/system/paths", "tests/attacks")
LONGEST_FIRST = (
    "tests/system/paths",
    "chaos/test_chaos.py",
    "backup/test_backup_live.py",
    "tests/attacks",
    "two_workers/test_two_workers.py",
    "system/test_outages.py",
    "worker/test_workers.py",
    "worker/test_killers.py",
    "upgrade/test_upgrade.py",
    "system/test_benchmarks.py",
)


class FoldersAndFiles(LoadScopeScheduling):
    """Gives each worker a whole file at a time, or a whole folder of `WHOLE_FOLDERS`."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in WHOLE_FOLDERS if file.startswith(folder + "/")), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FoldersAndFiles:
    return FoldersAndFiles(config, log)


def _rank(item: pytest.Item) -> int:
    path = Path(item.path)
    names = (f"{path.parent.name}/{path.name}", path.parent.relative_to(ROOT).as_posix())
    return next((LONGEST_FIRST.index(name) for name in names if name in LONGEST_FIRST), 99)


@pytest.hookimpl(trylast=True)  # after pytest-randomly has shuffled
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The node that every test of a pytest worker shares; tests use topics of their own."""
    with started(tmp_path_factory.mktemp("broker")) as node:
        yield node


@pytest.fixture
async def admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**broker.bootstrap.options)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def producer(broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    client = AIOKafkaProducer(**broker.bootstrap.options, acks="all")
    await client.start()
    yield client
    await client.stop()
