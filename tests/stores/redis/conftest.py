"""One real Redis for the tests of this folder, empty at the start of each."""

from collections.abc import AsyncIterator, Iterator

import pytest

from stores.redis.client import RedisClient
from tests.support.redis import RedisServer


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[RedisClient]:
    made = RedisClient.open(server.config)
    await made.script("redis.call('FLUSHALL')")([], [])
    yield made
    await made.close()
