"""The long run: `make chaos SEEDS=200 [FROM=1] [FROZEN=60]`.

Each seed is a line of RESULTS/seeds.jsonl as soon as it is done, and is not done again. One that
fails says so with its plan and keeps the logs in RESULTS/logs/SEED. The table at the end is over
all lines.
"""

import argparse
import json
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from .plan import long_plan, told
from .table import by_fault, verdict
from .trial import Report, trial


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the stack too
    asked = arguments()
    done = {row["seed"]: row for row in read(asked.results)}
    for seed in range(asked.first, asked.first + asked.seeds):
        if seed not in done:
            done[seed] = one(seed, asked)
            with lines(asked.results).open("a") as file:
                file.write(json.dumps(done[seed]) + "\n")
        print(verdict(done[seed]), flush=True)
    rows = read(asked.results)
    print(by_fault(rows))
    return 1 if any(row["findings"] for row in rows) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--rounds", type=int, default=4, help="faults in each seed")
    parser.add_argument("--frozen", type=float, default=60.0, help="seconds")
    parser.add_argument("--results", type=Path, default=Path(".tools/chaos"))
    return parser.parse_args()


def one(seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """The seed's report; a run that could not be finished is a finding."""
    plan = long_plan(seed, rounds=asked.rounds, frozen_s=asked.frozen)
    report = Report(seed)
    try:
        trial(report, plan, logs=asked.results / "logs" / str(seed))
    except (AssertionError, OSError) as error:
        traceback.print_exc()
        report.findings.append(f"not finished: {error}")
    if report.findings:
        print(told(seed, plan), *report.findings, sep="\n", flush=True)
    return report.plain()


def lines(results: Path) -> Path:
    results.mkdir(parents=True, exist_ok=True)
    return results / "seeds.jsonl"


def read(results: Path) -> list[dict[str, Any]]:
    if not lines(results).exists():
        return []
    return [json.loads(line) for line in lines(results).read_text().splitlines()]


if __name__ == "__main__":
    sys.exit(main())
