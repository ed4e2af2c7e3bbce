"""Recovery: the service of Faust that makes a worker ready after each assignment."""

from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery


class PatientRecovery(Recovery):
    """Waits for the broker without a limit of its own; Worker.unhealthy has one.

    Upstream gives each request to the broker a timeout, and takes its end for a stop of the worker:
    recovery ends without an error, and the worker has no partitions from then on.
    """

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109
        del timeout
        await super()._wait(coro)


class Tables(TableManager):
    """Faust's tables, with PatientRecovery."""

    _recovery: Recovery | None

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
