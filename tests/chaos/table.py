"""Formatting of results: one line per run, and the table of docs/failure-modes.md."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import median
from typing import Any

Row = dict[str, Any]
HEAD = (
    "| fault | runs | a sender sees | no `250` for, s: median, most | an owner sees "
    "| no answer for, s: median, most | ready again after, s: median, most |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def verdict(row: Row) -> str:
    faults = ", ".join(round_["fault"] for round_ in row["rounds"])
    result = "ok " if not row["findings"] else f"BAD ({len(row['findings'])})"
    return (
        f"seed {row['seed']:>4}  {result}  {row['accepted']:>4} accepted  {row['took_s']} s  "
        f"{faults}"
    )


def by_fault(rows: Iterable[Row]) -> str:
    rounds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for round_ in row["rounds"]:
            rounds[round_["fault"]].append(round_)
    return "\n".join([HEAD, *(_line(fault, rounds[fault]) for fault in sorted(rounds))])


def _line(fault: str, rounds: list[Row]) -> str:
    cells = (
        fault, len(rounds), _most_frequent(rounds, "replies"), _median_and_max(rounds, "no_250_s"),
        _most_frequent(rounds, "reading"), _median_and_max(rounds, "no_reading_s"),
        _median_and_max(rounds, "ready_after_s"),
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _most_frequent(rounds: list[Row], name: str) -> str:
    """Return the three most frequent problems."""
    problems = sum((Counter(round_[name]) for round_ in rounds), Counter[str]())
    return ", ".join(problem for problem, _ in problems.most_common(3)) or "nothing"


def _median_and_max(rounds: list[Row], name: str) -> str:
    values = [round_[name] for round_ in rounds]
    return f"{median(values):.0f}, {max(values):.0f}"
