"""One Redis for tests, started with the product's own configuration."""

from pathlib import Path

from stack.engines.redis import redis
from stack.state_folder import StateFolder
from stores.redis.client import RedisConfig
from tests.support.engine import Engine


class RedisServer(Engine):
    """A server on a unix socket."""

    def __init__(self, folder: Path) -> None:
        home = StateFolder(folder / "home")
        home.run.mkdir(parents=True)
        self.config = RedisConfig(address=home.socket("redis"), timeout_s=60)  # a busy machine
        super().__init__(redis(home), folder / "out.log")
