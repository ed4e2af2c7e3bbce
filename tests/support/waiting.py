"""Waiting for a condition. Time limits are generous, because machines differ."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def until(condition: Callable[[], object], *, within_s: float = 40.0) -> None:
    """Wait until `condition()` is true. Raises TimeoutError after `within_s`."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


def eventually(look: Callable[[], T], *, within_s: float = 60.0, what: str = "") -> T:
    """Return the first true answer of `look()`; its failures count as false.

    Raises AssertionError after `within_s`, with the last answer or failure.
    """
    deadline = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = answer = look()
            if answer:
                return answer
        except (OSError, AssertionError) as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s} s: {what or look}; last: {last!r}")
