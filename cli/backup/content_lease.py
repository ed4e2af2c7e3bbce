"""Lease on the contents while a backup copies them; a thread renews it.

Copying blocks for minutes, so the renewal has a thread and an event loop of its own.
"""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path

from cli.config.config import Config
from cli.wiring.embedded import Adapters
from cli.wiring.profile import adapters
from cli.wiring.store_files import EMBEDDED
from mail.errors import Refused, StoreUnavailable
from mail.ids import new_id
from mail.ports import ContentSweep
from schemas.sqlite.small_stores import CONTENT
from stores.sqlite.database_file import SqliteConfig, connect

log = logging.getLogger(__name__)
BEAT_S = 10.0  # between renewals; the sweep ends a lease after SweepConfig.lease_s without one
READY_LIMIT_S = 30.0


@contextmanager
def contents_kept(config: Config, purpose: str, *, beat_s: float = BEAT_S) -> Iterator[None]:
    """Within the block, no content is deleted.

    Raises Refused: the lease cannot be taken; at the end of the block: the lease was lost.
    """
    is_embedded = config.profile == EMBEDDED
    if is_embedded and not _has_leases(config.home / "data" / "content.sqlite"):
        yield  # no process of this version has run here, so there is no sweep
        return
    keeper = _LeaseThread(config, purpose, beat_s)
    keeper.start()
    try:
        keeper.wait_taken()
        yield
    finally:
        keeper.ended.set()
        keeper.join()
    if keeper.failure is not None:
        raise Refused(f"no backup was made: {keeper.failure}")


class _LeaseThread(threading.Thread):
    """Takes and renews the lease. `failure`: why contents may have been deleted, else None."""

    def __init__(self, config: Config, purpose: str, beat_s: float) -> None:
        super().__init__(name="lease", daemon=True)
        self._config = config
        self._purpose = purpose
        self._beat_s = beat_s
        self._lease_id = new_id()
        self._taken = threading.Event()
        self.ended = threading.Event()
        self.failure: str | None = None

    def wait_taken(self) -> None:
        """Raises Refused: no lease within READY_LIMIT_S."""
        if not self._taken.wait(READY_LIMIT_S) or self.failure is not None:
            raise Refused(f"no backup was made: {self.failure or 'the contents cannot be locked'}")

    def run(self) -> None:
        try:
            asyncio.run(self._keep())
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            self.failure = str(error)
        finally:
            self._taken.set()

    async def _keep(self) -> None:
        async with AsyncExitStack() as stack:
            contents = await self._sweep(stack)
            await contents.take_lease(self._lease_id, self._purpose)
            self._taken.set()
            while not await asyncio.to_thread(self.ended.wait, self._beat_s):
                await self._renew(contents)
            if not await contents.renew_lease(self._lease_id):
                self.failure = "the lease expired, and contents may have been deleted"
            await contents.end_lease(self._lease_id)

    async def _sweep(self, stack: AsyncExitStack) -> ContentSweep:
        if self._config.profile == EMBEDDED:  # also files that no start has migrated yet
            return await Adapters(self._config.home, stack).content_sweep()
        return await (await stack.enter_async_context(adapters(self._config))).content_sweep()

    async def _renew(self, contents: ContentSweep) -> None:
        """Renew the lease; a busy store is tried again at the next renewal.

        The last renewal fails if the lease has expired.
        """
        try:
            await contents.renew_lease(self._lease_id)
        except StoreUnavailable as error:
            log.warning("%s; the lease is renewed in %g s", error, self._beat_s)


def _has_leases(path: Path) -> bool:
    """Whether the file has the tables of this version; an older file is not migrated here."""
    if not path.exists():
        return False
    with closing(connect(path, SqliteConfig(), read_only=True)) as connection:
        return bool(connection.execute("PRAGMA user_version").fetchone()[0] >= len(CONTENT))
