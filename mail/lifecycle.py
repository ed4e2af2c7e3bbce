"""Lifecycle of the parts of a process, as context managers: the last started stops first."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from mail.errors import Transient

log = logging.getLogger(__name__)


class Periodic:
    """Run `work` after `first_s`, then again `interval_s` after each end.

    A Transient error is logged once per outage, any other error each time; the loop continues.
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
        self._is_failing = False

    def start(self) -> None:
        """Start the loop, unless it is running."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Cancel the loop, also during the work, and wait until it has ended."""
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
            if not self._is_failing:
                log.warning("%s: %s; trying again every %g s", self._name, error, self._interval_s)
            self._is_failing = True
        except Exception:
            log.exception("%s failed; trying again in %g s", self._name, self._interval_s)
        else:
            if self._is_failing:
                log.info("%s: works again", self._name)
            self._is_failing = False


class Component(Protocol):
    """A part of a process that starts and stops."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


P = TypeVar("P", bound=Component)


@asynccontextmanager
async def running(part: P) -> AsyncIterator[P]:
    """Start `part` for the block; stop it at the end, also after an error."""
    await part.start()
    try:
        yield part
    finally:
        await part.stop()


@asynccontextmanager
async def repeating(
    name: str, work: Callable[[], Awaitable[object]], interval_s: float, first_s: float = 0.0
) -> AsyncIterator[None]:
    """Run `work` repeatedly during the block, as Periodic; the first time after `first_s`."""
    periodic = Periodic(name, work, interval_s=interval_s, first_s=first_s)
    periodic.start()
    try:
        yield
    finally:
        await periodic.stop()
