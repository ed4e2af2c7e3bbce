"""Stall report: where each task of a worker waits, logged when the worker makes no progress.

The supervisor restarts a worker without progress; the report shows what the worker waited for. It
has names of functions and lines of code only, no values, and so no text of a mail.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

REPORT_MAX_CHARS = 64 * 1024
FRAMES_MAX = 20  # of one task


def task_stacks(loops: Iterable[asyncio.AbstractEventLoop]) -> str:
    """Return the chain of awaits of all tasks of `loops`, cut to REPORT_MAX_CHARS.

    The loops may run in other threads: their tasks are read, never changed.
    """
    tasks = [task for loop in loops for task in asyncio.all_tasks(loop)]
    return "\n".join(" <- ".join(reversed([*_frames(task)])) for task in tasks)[:REPORT_MAX_CHARS]


def _frames(task: "asyncio.Task[Any]") -> Iterator[str]:
    """Yield `function file:line` from the task's coroutine to the innermost await."""
    awaited: Any = task.get_coro()
    for _ in range(FRAMES_MAX):
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is None:
            return
        code = frame.f_code
        folder, _, file = code.co_filename.rpartition("/")
        yield f"{code.co_qualname} {folder.rpartition('/')[2]}/{file}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
