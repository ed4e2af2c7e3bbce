"""Background reader that begins a new session after each failure, until it is stopped."""

import logging
from collections.abc import Awaitable, Callable

from mail.lifecycle import Periodic

log = logging.getLogger(__name__)


class ReconnectingReader(Periodic):
    """Run `session` in the background, again `retry_s` after each end of it.

    A session connects, reads and raises when something fails. It calls `connected` once it reads.
    The log gets one warning per outage, however long the outage is, and one line at its end.
    """

    def __init__(
        self, name: str, session: Callable[[], Awaitable[None]], *, retry_s: float
    ) -> None:
        super().__init__(name, self._attempt, interval_s=retry_s)
        self._session = session
        self._is_out = False

    def connected(self) -> None:
        """Record that the session reads."""
        if self._is_out:
            log.info("%s: reading again", self._name)
        self._is_out = False

    async def _attempt(self) -> None:
        try:
            await self._session()
        except Exception as error:  # noqa: BLE001  (the next session may work after any failure)
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._is_out:
            log.warning(
                "%s: reading failed, trying again every %g s: %r",
                self._name,
                self._interval_s,
                error,
            )
        self._is_out = True
