"""Measurement of how work grows with its input, on a machine that is busy with other work.

Measures the CPU time of the thread, the minimum of several runs, without the garbage collector,
whose full collections cost what the whole test process holds. A growth that is too steep is
measured again: an interruption can only increase a measured time.
"""

import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")

RUNS = 3
RETRIES = 4
NOISE_S = 0.004  # shorter times are not significant
STEEPEST = 2.9  # ratio of work for twice the input: linear is 2, n log n 2.2, quadratic 4


def cpu_s(work: Callable[[], object], runs: int = RUNS) -> float:
    """Return the minimum of the CPU seconds of `work`."""
    taken = []
    gc.disable()
    try:
        for _ in range(runs):
            started_s = time.thread_time()
            work()
            taken.append(time.thread_time() - started_s)
            if taken[-1] < NOISE_S:
                break
    finally:
        gc.enable()
    return min(taken)


def growth(make: Callable[[int], T], work: Callable[[T], object], sizes: Sequence[int]) -> float:
    """Return the largest ratio of work when the input doubles; below 1: within the noise."""
    inputs = [make(size) for size in sizes]
    took_s = [cpu_s(partial(work, item)) for item in inputs]
    steps = pairwise(took_s)
    return max((after / max(before, NOISE_S) for before, after in steps), default=1.0)


def assert_linear(
    make: Callable[[int], T], work: Callable[[T], object], sizes: Sequence[int]
) -> None:
    """Assert that work grows linearly; each of `sizes` is twice the size before.

    Raises AssertionError: every measurement showed a growth of more than STEEPEST.
    """
    ratios = []
    for _ in range(RETRIES):
        ratios.append(growth(make, work, sizes))
        if ratios[-1] <= STEEPEST:
            return
    raise AssertionError(f"work grows {min(ratios):.1f} times when the input doubles: {sizes}")
