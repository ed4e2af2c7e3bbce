"""Short chaos run (long run: `make chaos SEEDS=200`)."""

import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from .plan import IS_DISTRIBUTED, Round, description, short_plan, stores_plan
from .trial import Report, trial

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


def test_nothing_is_lost_doubled_or_unscanned_whatever_breaks(tmp_path: Path) -> None:
    survive(short_plan, tmp_path)


@pytest.mark.distributed
@pytest.mark.timeout(1_800)  # five minutes of outages, then searches beyond the users' limits
@pytest.mark.skipif(not IS_DISTRIBUTED, reason="a stack of the embedded profile")
def test_nothing_is_lost_or_doubled_while_each_engine_is_away(tmp_path: Path) -> None:
    survive(partial(stores_plan, cut_s=60.0), tmp_path)


def survive(plan_of: Callable[[int], list[Round]], tmp_path: Path) -> None:
    seed = int(os.environ.get("POSTRIVER_SEED", random.SystemRandom().randrange(10**6)))
    plan = plan_of(seed)
    print(description(seed, plan))
    report = Report(seed)
    trial(report, plan, logs=tmp_path / "log")
    print(report)
    assert not report.findings, f"logs in {tmp_path / 'log'}"
    assert report.accepted > 50
