"""The long form: new inputs for each target in turn, by chance, until the time is over.

Whatever fails is made small and put into the corpus. Besides, a few words repeated to 64 KiB must
not cost seconds: what grows faster than a mail is found so.
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

PUMPED = ("mail", "walk", "html", "query", "address")
PUMPED_MAX_S = 5.0  # of the processor
AT_A_TIME = 300


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=600.0)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given_ = arguments.parse_args()
    logging.disable(logging.WARNING)
    ends_s = time.monotonic() + given_.seconds
    number, failed = given_.seed, 0
    while time.monotonic() < ends_s and not failed:
        print(f"seed {number}", flush=True)
        failed = sum(_fails(target, number) for target in TARGETS if time.monotonic() < ends_s)
        number += 1
    return min(failed, 1)


def _fails(target: Target, number: int) -> bool:
    failed = _tried(target, target.check, target.inputs(), number, AT_A_TIME)
    if target.name in PUMPED:
        failed |= _tried(target, _cheap(target), target.pumped(), number, AT_A_TIME // 10)
    return failed


def _cheap(target: Target) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        started_s = time.process_time()
        target.check(data)
        took_s = time.process_time() - started_s
        assert took_s < PUMPED_MAX_S, f"{took_s:.1f} s for {len(data)} bytes"

    return check


def _tried(
    target: Target,
    check: Callable[[bytes], None],
    inputs: st.SearchStrategy[bytes],
    number: int,
    examples: int,
) -> bool:
    last = b""

    @settings(
        max_examples=examples, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @seed(number)
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
        print(f"{target.name} fails; kept as {target.keep(last)}", file=sys.stderr)
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
