"""Background reader that begins a new session after each failure, until it is stopped."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class ReconnectingReader:
    """Run `session` in the background, again `retry_s` after each end of it.

    A session connects, reads and raises when something fails. It calls `connected` once it reads.
    The log gets one warning per outage, however long the outage is, and one line at its end.
    """

    def __init__(
        self, name: str, session: Callable[[], Awaitable[None]], *, retry_s: float
    ) -> None:
        self._name = name
        self._session = session
        self._retry_s = retry_s
        self._is_out = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the background: the broker may start later."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Cancel the session and wait for its end; `start` begins a new session."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def connected(self) -> None:
        """Record that the session reads."""
        if self._is_out:
            log.info("%s: reading again", self._name)
        self._is_out = False

    async def _run(self) -> None:
        while True:
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001  (the next session may work after any failure)
                self._warn(error)
            await asyncio.sleep(self._retry_s)

    def _warn(self, error: Exception) -> None:
        if not self._is_out:
            log.warning(
                "%s: reading failed, trying again every %g s: %r", self._name, self._retry_s, error
            )
        self._is_out = True
