"""Scrolling and jumping in a large list; what it leaves in memory."""

import math
import statistics

from benchmarks.webmail.tab import Tab
from benchmarks.webmail.using import p95

FLING_PX = 4_000  # in each frame
MIDDLE = 0.5
APART = 0.011  # shares of the list between two jumps, so that no rows were read before


async def flinging(tab: Tab, frames: int, rounds: int) -> dict[str, float]:
    """Scroll fast, then stop: lengths of frames, and how long rows are missing."""
    lengths, missing = [], []
    for _ in range(rounds):
        found = await tab.run("fling", frames, FLING_PX)
        lengths += found["frames"]
        missing.append(found["missing"])
    return {"frame_ms": p95(lengths), "missing_ms": round(max(missing), 1)}


async def jumping(tab: Tab, rounds: int) -> dict[str, float | None]:
    """Jump to places near the middle of the list. None: the rows had been read before."""
    found = [await tab.run("jump", MIDDLE - number * APART) for number in range(rounds)]
    answers = [each["answer"] for each in found if math.isfinite(each["answer"])]
    return {
        "jump_answer_ms": round(statistics.median(answers), 1) if answers else None,
        "jump_ms": round(statistics.median(each["shown"] for each in found), 1),
    }


async def memory_after_all(tab: Tab, stops: int) -> dict[str, float]:
    """Scroll through the whole list with `stops`, where rows are read; then count what is kept."""
    for number in range(stops + 1):
        await tab.run("jump", number / (stops + 1))
    await tab.cdp.send("HeapProfiler.enable")
    await tab.cdp.send("HeapProfiler.collectGarbage")
    heap = await tab.cdp.send("Runtime.getHeapUsage")
    nodes = await tab.run("() => document.querySelectorAll('*').length")
    return {"heap_mb": round(heap["usedSize"] / 1e6, 1), "nodes": nodes}
