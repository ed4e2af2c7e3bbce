"""Fault hook: a test makes a memory adapter fail at a named step."""

import asyncio
from collections.abc import Callable

FaultHook = Callable[[str], None]


def no_fault(step: str) -> None:
    """Do nothing: the step succeeds."""


async def take_step(fault: FaultHook, step: str) -> None:
    """Let other tasks run, as waiting for an engine would, then call `fault` before `step`."""
    await asyncio.sleep(0)
    fault(step)
