"""Order of files on several pytest workers, and fixtures of a broker that tests share.

With `-n --dist loadscope` a worker takes the suite file by file, in the random order of the run,
except that what takes longest begins first. A folder whose tests share one stack is one piece of
work, with workers and without, so that the stack runs once and ends with its folder.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
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
        return piece_of(nodeid)


def piece_of(nodeid: str) -> str:
    """The file of a test, or its folder if that is one of `WHOLE_FOLDERS`."""
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
    else:
        items[:] = whole_pieces(items)


def whole_pieces(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return `items` with each piece at the place of its first test, in the same order inside."""
    pieces: dict[str, list[pytest.Item]] = {}
    for item in items:
        pieces.setdefault(piece_of(item.nodeid), []).append(item)
    return [item for piece in pieces.values() for item in piece]


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
