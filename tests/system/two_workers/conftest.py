"""A real broker, the topics of the table, and worker processes of the role `mailbox` to kill."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stores.sqlite.directory.store import SqliteDirectory
from stores.sqlite.mail_store.store import SqliteMailStore
from streams.config import TopicsConfig
from streams.topics.admin import ensure_topics
from tests.support.broker import Broker, started
from tests.system.two_workers.fleet import WorkerFleet


class Journalled:
    """The sum of all mailboxes' seq, read from the store while workers write it."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(f"file:{folder / 'mail.sqlite'}?mode=ro", uri=True)

    def __call__(self) -> int:
        (total,) = self._connection.execute("SELECT sum(seq) FROM mailbox").fetchone()
        return total or 0

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with started(folder) as made:
        yield made


@pytest.fixture
async def epochs(broker: Broker, tmp_path: Path) -> dict[str, str]:
    """Create all topics as the set-up does; the epochs are in the directory that workers read."""
    directory = await SqliteDirectory.open(tmp_path / "directory.sqlite")
    try:
        return await ensure_topics(TopicsConfig(bootstrap=broker.bootstrap), directory)
    finally:
        await directory.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteMailStore]:
    made = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    yield made
    await made.close()


@pytest.fixture
def journalled(store: SqliteMailStore, tmp_path: Path) -> Iterator[Journalled]:
    made = Journalled(tmp_path)
    yield made
    made.close()


@pytest.fixture
def fleet(broker: Broker, epochs: dict[str, str], tmp_path: Path) -> Iterator[WorkerFleet]:
    made = WorkerFleet(broker.bootstrap, tmp_path)
    yield made
    made.end()
