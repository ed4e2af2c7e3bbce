"""The text of `postriver status`, also of a report without some of its fields."""

from typing import Any

import pytest

from cli.status_table import status_table

HELD = {
    "engine": "clamd", "detail": "not listening", "topic": "mail.validated", "partition": 3,
    "offset": 17,
}  # fmt: skip
REPORT: dict[str, Any] = {
    "state": "degraded",
    "signatures": "test",
    "warnings": ["TEST SET ONLY"],
    "processes": [{"name": "scan", "state": "ready", "pid": 11, "restarts": 0}],
    "engines": [{"name": "kafka", "state": "ready", "pid": 12, "detail": "127.0.0.1:29092"}],
    "external": [{"engine": "redis", "at": "redis.example.org:6379", "reason": ""}],
    "roles": [
        {"name": "scan", "lag": 4, "held": [HELD]},
        {"name": "relay", "lag": 0, "detail": {"queue": {"due": 2}, "at_work": 1, "sweep": "all"}},
    ],
}
WHOLE = """\
state degraded, virus signatures: test
  note: TEST SET ONLY
  scan       ready      pid 11
  kafka      ready      pid 12  127.0.0.1:29092
  redis      at redis.example.org:6379: answers
  scan       lag 4
    held: clamd, not listening; at mail.validated@3-17
  relay      lag 0
    relay queue: 2 due; 1 at work
    sweep: all"""


def test_every_part_of_a_report_is_shown() -> None:
    assert status_table(REPORT) == WHOLE


@pytest.mark.parametrize("part", sorted(REPORT))
def test_a_report_without_a_field_is_shown(part: str) -> None:
    shown = status_table({name: value for name, value in REPORT.items() if name != part})
    left_out = {"state", "signatures"}  # their line stays
    assert (len(shown.splitlines()) < len(WHOLE.splitlines())) == (part not in left_out)
    assert ("unknown" in shown) == (part in left_out)


@pytest.mark.parametrize("part", ["processes", "engines", "roles"])
def test_a_row_without_its_fields_is_shown(part: str) -> None:
    assert "unknown" in status_table({**REPORT, part: [{}]})


def test_what_is_held_is_shown_without_its_fields() -> None:
    shown = status_table(
        {"roles": [{"name": "scan", "held": [{}], "detail": {"queue": {"due": 2}}}]}
    )
    assert "held: unknown, unknown" in shown
    assert "2 due; unknown at work" in shown
