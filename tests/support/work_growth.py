"""Measure how work grows with the size of its input, on a machine that is busy with other work.

CPU time of this thread, the least of some runs; a growth that looks too steep is measured again,
for an interruption looks like work and work never looks like less.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")

RUNS = 3
RETRIES = 4
NOISE_S = 0.004  # less than this tells nothing
STEEPEST = 2.9  # times the work for twice the input: linear is 2, n log n 2.2, quadratic 4


def cpu_s(work: Callable[[], object], runs: int = RUNS) -> float:
    """The least CPU seconds that `work` took."""
    taken = []
    for _ in range(runs):
        started_s = time.thread_time()
        work()
        taken.append(time.thread_time() - started_s)
        if taken[-1] < NOISE_S:
            break
    return min(taken)


def growth(make: Callable[[int], T], work: Callable[[T], object], sizes: Sequence[int]) -> float:
    """How many times the work grows when the input doubles; less than 1 within the noise."""
    inputs = [make(size) for size in sizes]
    took_s = [cpu_s(partial(work, one)) for one in inputs]
    steps = pairwise(took_s)
    return max((after / max(before, NOISE_S) for before, after in steps), default=1.0)


def assert_linear(
    make: Callable[[int], T], work: Callable[[T], object], sizes: Sequence[int]
) -> None:
    """`sizes` double. AssertionError: the work grew by more than STEEPEST at each try."""
    found = []
    for _ in range(RETRIES):
        found.append(growth(make, work, sizes))
        if found[-1] <= STEEPEST:
            return
    raise AssertionError(f"work grows {min(found):.1f} times when the input doubles: {sizes}")
