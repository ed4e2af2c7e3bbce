"""Long fuzz run: random inputs for each target in turn until the time is over.

A failing input is minimised and added to the corpus. The run also repeats a few words to 64 KiB,
which must not take seconds: this finds work that grows faster than the input.
"""

import argparse
import logging
import random
import sys
import time
import traceback
from collections.abc import Callable

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

REPEATED_TARGETS = ("mail", "walk", "html", "query", "address")
REPEATED_MAX_S = 5.0  # of the processor
EXAMPLES = 300


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=600.0)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = arguments.parse_args()
    logging.disable(logging.WARNING)
    ends_s = time.monotonic() + options.seconds
    seed_number, failed = options.seed, 0
    while time.monotonic() < ends_s and not failed:
        print(f"seed {seed_number}", flush=True)
        failed = sum(_fails(target, seed_number) for target in TARGETS if time.monotonic() < ends_s)
        seed_number += 1
    return min(failed, 1)


def _fails(target: Target, seed_number: int) -> bool:
    failed = _fails_on(target, target.check, target.inputs(), seed_number, EXAMPLES)
    if target.name in REPEATED_TARGETS:
        failed |= _fails_on(
            target, _with_time_limit(target), target.repeated(), seed_number, EXAMPLES // 10
        )
    return failed


def _with_time_limit(target: Target) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        started_s = time.process_time()
        target.check(data)
        took_s = time.process_time() - started_s
        assert took_s < REPEATED_MAX_S, f"{took_s:.1f} s for {len(data)} bytes"

    return check


def _fails_on(
    target: Target,
    check: Callable[[bytes], None],
    inputs: st.SearchStrategy[bytes],
    seed_number: int,
    examples: int,
) -> bool:
    last = b""

    @settings(
        max_examples=examples, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @seed(seed_number)
    @given(inputs)
    def passes(data: bytes) -> None:
        nonlocal last
        last = data
        check(data)

    try:
        with target.around():
            passes()
    except Exception:
        traceback.print_exc()
        print(f"{target.name} fails; the input is in {target.add_to_corpus(last)}", file=sys.stderr)
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
