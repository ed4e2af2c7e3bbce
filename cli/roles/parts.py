"""Parts of a process that start and stop, as blocks: what started last stops first."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar

from stores.certificate import LOOK_EVERY_S, Certificate
from streams.periodic import Periodic


class Part(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


P = TypeVar("P", bound=Part)


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


def presenting(certificate: Certificate) -> AbstractAsyncContextManager[None]:
    """Within the block, a new certificate is taken soon after its files have changed."""
    return repeating("certificate", certificate.look, LOOK_EVERY_S)
