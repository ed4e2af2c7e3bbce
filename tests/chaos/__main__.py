"""The long run: `make chaos SEEDS=200 [FROM=1] [FROZEN=60] [ROUNDS=4]`.

Each seed is a line of RESULTS/seeds.jsonl as soon as it is done, and is not done again with the
same ROUNDS and FROZEN unless it failed. One that fails says so with its plan and keeps the logs in
RESULTS/logs/SEED. The table at the end is over the last line of each.
"""

import argparse
import json
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .plan import impossible, long_plan, told
from .table import by_fault, verdict
from .trial import Report, trial

Key = tuple[Any, ...]  # seed, rounds, seconds of frost


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the stack too
    asked = arguments()
    done = read(asked.results)
    print(f"results: {lines(asked.results).resolve()}", flush=True)
    for why in impossible():
        print(f"not tried here: {why}", flush=True)
    for seed in range(asked.first, asked.first + asked.seeds):
        key = (seed, asked.rounds, asked.frozen)
        if key not in done or done[key]["findings"]:
            done[key] = one(seed, asked)
            with lines(asked.results).open("a") as file:
                file.write(json.dumps(done[key]) + "\n")
        print(verdict(done[key]), flush=True)
    print(by_fault(done.values()))
    return 1 if any(row["findings"] for row in done.values()) else 0


def arguments() -> argparse.Namespace:
    """As `make` passes them on, whose names the messages use."""
    parser = argparse.ArgumentParser(
        prog="chaos", usage="make chaos SEEDS=20 FROM=1 FROZEN=60 ROUNDS=4"
    )
    whole, seconds = bounded(int, 1, 1_000_000), bounded(float, 1, 3600)
    parser.add_argument("--seeds", type=whole, default=20, metavar="SEEDS")
    parser.add_argument("--from", type=whole, default=1, dest="first", metavar="FROM")
    parser.add_argument("--rounds", type=bounded(int, 1, 100), default=4, metavar="ROUNDS")
    parser.add_argument("--frozen", type=seconds, default=60.0, metavar="FROZEN")
    parser.add_argument("--results", type=Path, default=Path(".tools/chaos"))
    return parser.parse_args()


def bounded(kind: type[int] | type[float], least: int, most: int) -> Callable[[str], float]:
    """A number within the bounds, or a sentence; `nan` is in none."""

    def read_number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            what = "a whole number" if kind is int else "a number of seconds"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {least} to {most}")
        return value

    return read_number


def one(seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """The seed's report; a run that could not be finished is a finding."""
    plan = long_plan(seed, rounds=asked.rounds, frozen_s=asked.frozen)
    report = Report(seed)
    try:
        trial(report, plan, logs=asked.results / "logs" / str(seed))
    except Exception as error:  # noqa: BLE001 whatever broke, the next seed is another stack
        traceback.print_exc()
        report.findings.append(f"not finished: {error}")
    if report.findings:
        print(told(seed, plan), *report.findings, sep="\n", flush=True)
    return report.plain() | {"asked": [asked.rounds, asked.frozen]}


def lines(results: Path) -> Path:
    results.mkdir(parents=True, exist_ok=True)
    return results / "seeds.jsonl"


def read(results: Path) -> dict[Key, dict[str, Any]]:
    """The last line of each seed, by what was asked for."""
    if not lines(results).exists():
        return {}
    rows = map(json.loads, lines(results).read_text().splitlines())
    return {(row["seed"], *row.get("asked", ())): row for row in rows}


if __name__ == "__main__":
    sys.exit(main())
