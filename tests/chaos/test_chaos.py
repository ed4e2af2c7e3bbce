"""Short chaos run (long run: `make chaos SEEDS=200`)."""

import os
import random
from pathlib import Path

import pytest

from .plan import description, short_plan
from .trial import Report, trial

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


def test_nothing_is_lost_doubled_or_unscanned_whatever_breaks(tmp_path: Path) -> None:
    seed = int(os.environ.get("POSTRIVER_SEED", random.SystemRandom().randrange(10**6)))
    plan = short_plan(seed)
    print(description(seed, plan))
    report = Report(seed)
    trial(report, plan, logs=tmp_path / "log")
    print(report)
    assert not report.findings, f"logs in {tmp_path / 'log'}"
    assert report.accepted > 50
