"""Runs as lines and as the table of docs/failure-modes.md."""

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
    what = ", ".join(one["fault"] for one in row["rounds"])
    good = "ok " if not row["findings"] else f"BAD ({len(row['findings'])})"
    return (
        f"seed {row['seed']:>4}  {good}  {row['accepted']:>4} accepted  {row['took_s']} s  {what}"
    )


def by_fault(rows: Iterable[Row]) -> str:
    seen: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for one in row["rounds"]:
            seen[one["fault"]].append(one)
    return "\n".join([HEAD, *(_line(fault, seen[fault]) for fault in sorted(seen))])


def _line(fault: str, rounds: list[Row]) -> str:
    cells = (
        fault, len(rounds), _said(rounds, "replies"), _spread(rounds, "no_250_s"),
        _said(rounds, "reading"), _spread(rounds, "no_reading_s"),
        _spread(rounds, "ready_after_s"),
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _said(rounds: list[Row], who: str) -> str:
    """What was said most, besides what is good."""
    words = sum((Counter(one[who]) for one in rounds), Counter[str]())
    return ", ".join(word for word, _ in words.most_common(3)) or "nothing"


def _spread(rounds: list[Row], name: str) -> str:
    values = [one[name] for one in rounds]
    return f"{median(values):.0f}, {max(values):.0f}"
