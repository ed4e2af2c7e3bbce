"""Parts of a process that start and stop, as blocks: what started last stops first."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from mail.errors import Transient

log = logging.getLogger(__name__)


class Periodic:
    """Run `work` after `first_s` and then every `interval_s` after its end.

    An engine that does not answer is logged once per outage; anything else at every failure.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        *,
        interval_s: float,
        first_s: float = 0.0,
    ) -> None:
        self._name = name
        self._work = work
        self._interval_s = interval_s
        self._first_s = first_s
        self._task: asyncio.Task[None] | None = None
        self._out = False

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Cancel the work wherever it is, and wait until it is gone."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        await asyncio.sleep(self._first_s)
        while True:
            await self._once()
            await asyncio.sleep(self._interval_s)

    async def _once(self) -> None:
        try:
            await self._work()
        except Transient as error:
            if not self._out:
                log.warning("%s: %s; trying again every %g s", self._name, error, self._interval_s)
            self._out = True
        except Exception:
            log.exception("%s failed; trying again in %g s", self._name, self._interval_s)
        else:
            if self._out:
                log.info("%s: works again", self._name)
            self._out = False


class Component(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


P = TypeVar("P", bound=Component)


@asynccontextmanager
async def running(part: P) -> AsyncIterator[P]:
    """`part`, started; stopped at the end of the block, however it ends."""
    await part.start()
    try:
        yield part
    finally:
        await part.stop()


@asynccontextmanager
async def repeating(
    name: str, work: Callable[[], Awaitable[object]], interval_s: float, first_s: float = 0.0
) -> AsyncIterator[None]:
    """Do `work` within the block again and again; its failures are logged and end nothing.

    The first time is `first_s` seconds after the block was entered.
    """
    periodic = Periodic(name, work, interval_s=interval_s, first_s=first_s)
    periodic.start()
    try:
        yield
    finally:
        await periodic.stop()
