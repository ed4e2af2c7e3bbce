"""The first users of a stack whose directory is in an engine: made while the stack starts."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self

import click

from cli.backup.manifest import PUT_BACK_CLUSTER
from cli.config.config import Config
from cli.wiring.profile import adapters
from cli.wiring.store_files import EMBEDDED
from mail.errors import PostriverError, StoreUnavailable
from operations.accounts import CreatedUser

Seed = Callable[[Config], Coroutine[Any, Any, list[CreatedUser]]]
ASK_AGAIN_S = 1.0


class LateUsers:
    """A thread that calls `seed` once the tables of the directory exist. In a `with` block.

    Without `seed` it does nothing, and in the embedded profile, whose directory is there before the
    stack starts, and while a restore fills the directory.
    """

    def __init__(self, config: Config, seed: Seed | None) -> None:
        self._config = config
        self._seed = seed
        self._users: list[CreatedUser] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="first users")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Wait for the tables no longer."""
        self._stop.set()

    def result(self) -> list[CreatedUser]:
        """Return the users once they are made; none if there is a domain already."""
        self._thread.join()
        return self._users

    def _run(self) -> None:
        is_restored = (self._config.home / PUT_BACK_CLUSTER).exists()  # it has users
        if self._seed and self._config.profile != EMBEDDED and not is_restored:
            asyncio.run(self._make(self._seed))

    async def _make(self, seed: Seed) -> None:
        try:
            while not await self._is_ready():
                if self._stop.is_set():
                    return
                await asyncio.sleep(ASK_AGAIN_S)
            self._users = await seed(self._config)
        except PostriverError as error:
            click.echo(f"no first users: {error}; postriver domain add, postriver user add")

    async def _is_ready(self) -> bool:
        """Whether the directory can be read, with the role of this process."""
        try:
            async with adapters(self._config) as opened:
                await (await opened.directory()).list_domains(limit=1)
        except StoreUnavailable:
            return False
        return True
