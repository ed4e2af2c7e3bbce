"""One Redis for tests, started with the product's own configuration."""

from pathlib import Path

from stack.engines.redis import redis
from stack.state_folder import StateFolder
from tests.support.engine import Engine


class RedisServer(Engine):
    """A server on a unix socket."""

    def __init__(self, folder: Path) -> None:
        home = StateFolder(folder / "home")
        home.run.mkdir(parents=True)
        self.socket = home.socket("redis")
        super().__init__(redis(home), folder / "out.log")
