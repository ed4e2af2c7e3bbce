"""Long chaos run: `make chaos SEEDS=200 [FROM=1] [FROZEN=60] [ROUNDS=4]`.

Each seed adds a line to RESULTS/seeds.jsonl when it is finished. A later run with the same ROUNDS
and FROZEN repeats only failed seeds. A failed seed prints its plan, and its logs are copied to
RESULTS/logs/SEED. The table at the end covers the last line of each seed.
"""

import argparse
import json
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .plan import description, impossible, long_plan
from .table import by_fault, verdict
from .trial import Report, trial

Key = tuple[Any, ...]  # seed, rounds, seconds that frozen processes stay frozen


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exit also stops the stack
    options = arguments()
    done = read_results(options.results)
    print(f"results: {results_file(options.results).resolve()}", flush=True)
    for why in impossible():
        print(f"not tried here: {why}", flush=True)
    for seed in range(options.first, options.first + options.seeds):
        key = (seed, options.rounds, options.frozen)
        if key not in done or done[key]["findings"]:
            done[key] = run_seed(seed, options)
            with results_file(options.results).open("a") as file:
                file.write(json.dumps(done[key]) + "\n")
        print(verdict(done[key]), flush=True)
    print(by_fault(done.values()))
    return 1 if any(row["findings"] for row in done.values()) else 0


def arguments() -> argparse.Namespace:
    """Parse the arguments that `make` passes; messages use the names of the make variables."""
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
    """Return an argument type for numbers within the bounds, which exclude `nan`."""

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


def run_seed(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run one seed and return its report; a run that cannot be finished is a finding."""
    plan = long_plan(seed, rounds=options.rounds, frozen_s=options.frozen)
    report = Report(seed)
    try:
        trial(report, plan, logs=options.results / "logs" / str(seed))
    except Exception as error:  # noqa: BLE001 the next seed runs on a new stack
        traceback.print_exc()
        report.findings.append(f"not finished: {error}")
    if report.findings:
        print(description(seed, plan), *report.findings, sep="\n", flush=True)
    return report.plain() | {"asked": [options.rounds, options.frozen]}


def results_file(results: Path) -> Path:
    results.mkdir(parents=True, exist_ok=True)
    return results / "seeds.jsonl"


def read_results(results: Path) -> dict[Key, dict[str, Any]]:
    """Return the last line of each seed, by seed and options."""
    if not results_file(results).exists():
        return {}
    rows = map(json.loads, results_file(results).read_text().splitlines())
    return {(row["seed"], *row.get("asked", ())): row for row in rows}


if __name__ == "__main__":
    sys.exit(main())
