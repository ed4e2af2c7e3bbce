"""Parts of a process that start and stop, as blocks: what started last stops first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar


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
