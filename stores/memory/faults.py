"""The hook by which a test makes a memory adapter fail at a named step."""

import asyncio
from collections.abc import Callable

FaultHook = Callable[[str], None]


def no_fault(step: str) -> None:
    """Nothing goes wrong at `step`."""


async def take_step(fault: FaultHook, step: str) -> None:
    """Let others run, as an engine's answer would, then meet the fault before `step`."""
    await asyncio.sleep(0)
    fault(step)
