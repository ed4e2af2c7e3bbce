"""Asynchronous servers of a test in a thread with a loop of their own: the test may block."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")
STARTS_WITHIN_S = 30.0


@contextmanager
def in_thread(context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Hold `context` open in a thread during the block; yields what it yields."""
    loop, started, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[T] = []

    async def hold() -> None:
        async with context as value:
            found.append(value)
            started.set()
            await stop.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(hold())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(STARTS_WITHIN_S), "the servers did not start"
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
