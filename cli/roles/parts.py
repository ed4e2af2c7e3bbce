"""Parts of a process that start and stop, as blocks: what started last stops first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
async def presenting(certificate: Certificate) -> AsyncIterator[None]:
    """Within the block, a new certificate is taken soon after its files have changed."""
    looking = Periodic("certificate", certificate.look, interval_s=LOOK_EVERY_S)
    looking.start()
    try:
        yield
    finally:
        await looking.stop()
