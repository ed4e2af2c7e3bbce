"""Long proof of sending: `make chaos POSTS=2000 [SEEDS=1] [FROM=1]`.

Each seed adds a line to RESULTS/posts.jsonl. Logs of a failed run are in RESULTS/logs/posts-SEED.
"""

import argparse
import json
import signal
import sys
from pathlib import Path

from tests.chaos.__main__ import bounded

from .trial import PostReport, run


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exit also stops the stack
    parser = argparse.ArgumentParser(prog="chaos", usage="make chaos POSTS=2000 SEEDS=1 FROM=1")
    whole = bounded(int, 1, 1_000_000)
    parser.add_argument("--posts", type=whole, default=2000, metavar="POSTS")
    parser.add_argument("--seeds", type=whole, default=1, metavar="SEEDS")
    parser.add_argument("--from", type=whole, default=1, dest="first", metavar="FROM")
    parser.add_argument("--results", type=Path, default=Path(".tools/chaos"))
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    failed = False
    for seed in range(options.first, options.first + options.seeds):
        report = PostReport(seed, options.posts)
        try:
            run(report, logs=options.results / "logs" / f"posts-{seed}")
        finally:
            line = json.dumps(report.plain())
            with (options.results / "posts.jsonl").open("a") as file:
                file.write(f"{line}\n")
            print(line, flush=True)
        failed |= bool(report.findings)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
