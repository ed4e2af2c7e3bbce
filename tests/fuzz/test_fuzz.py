"""Short fuzz run: the corpus and the same generated inputs in each run (long run: `make fuzz`)."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

targets = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@targets
def test_the_corpus_passes(target: Target) -> None:
    with target.around():
        for data in target.corpus().values():
            target.check(data)


@targets
def test_inputs_pass(target: Target) -> None:
    @settings(
        max_examples=target.examples, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(target.inputs())
    def passes(data: bytes) -> None:
        target.check(data)

    with target.around():
        passes()
