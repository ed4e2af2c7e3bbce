"""`make bench`: what a mail costs in a whole stack, and how long everything takes.

    python -m benchmarks [--size full|quick|tiny] [--seed N] [--json FILE] [--update-docs]

Two starts of one state folder, with nothing faked but spamd in the first: SpamAssassin needs so
much CPU that nothing else could be seen beside it, so benchmarks/spamc.py answers in its place.
Progress goes to stderr, the result as JSON to stdout and FILE.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvloop

from benchmarks import api, end_to_end, machine, postfix, report, smtp_accept
from benchmarks.fixtures import Corpus
from benchmarks.processes import memory_mib
from benchmarks.stack import Stack, running, stack
from streams.topology import ROLES

USERS = 20
LOADED_SHARE = 0.7  # of what was stored a second
QUIET_PER_S = 5.0  # a mail every 200 ms meets an idle stack
SETTLE_S = 3.0  # after a start, before anything is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done; `tiny` only shows that the meter works."""

    warm_up: int  # mails before the first that count: Java compiles meanwhile
    mails: int
    spam_mails: int  # with the real spam engine; 0: not measured
    idle_s: float
    quiet_mails: int
    loaded_s: float
    filled: tuple[int, ...]  # mails in the mailboxes that are listed
    calls: int
    hop_events: int = 0
    peer_rounds: int = 0
    peer_s: float = 0.0
    takeovers: Sequence[str] = ()


SIZES = {
    "full": Size(
        warm_up=3_000, mails=6_000, spam_mails=150, idle_s=20, quiet_mails=100, loaded_s=20,
        filled=(1_000, 200_000), calls=400, hop_events=20_000, peer_rounds=3, peer_s=2.0,
        takeovers=ROLES,
    ),
    "quick": Size(
        warm_up=1_000, mails=2_000, spam_mails=40, idle_s=5, quiet_mails=25, loaded_s=5,
        filled=(1_000, 20_000), calls=100, hop_events=5_000, peer_rounds=1, peer_s=1.0,
        takeovers=("mailbox",),
    ),
    "tiny": Size(
        warm_up=0, mails=60, spam_mails=0, idle_s=0.5, quiet_mails=3, loaded_s=0.5,
        filled=(50, 600), calls=5,
    ),
}  # fmt: skip


class Bench:
    """One run; `result` grows as it goes."""

    def __init__(self, size: Size, seed: int) -> None:
        self._size = size
        self._corpus = Corpus(seed, bodies=0)
        self.result: dict[str, Any] = {}

    def run(self) -> None:
        size = self._size
        with stack() as made:
            say(f"filling mailboxes of {size.filled} mails")
            filled = ",".join(map(str, size.filled))
            users, boxes = end_to_end.tokens_of(
                made.run("benchmarks.seed", "--users", str(USERS), "--filled", filled)
            )
            with running(made, "--stand-in") as first_s:
                self.result["start_up_s"] = {"first": round(first_s, 1)}
                uvloop.run(self._without_spam(made, users, boxes))
                self._hop(made)
            if size.spam_mails:
                with running(made) as again_s:
                    self.result["start_up_s"]["again"] = round(again_s, 1)
                    uvloop.run(self._with_spam(made, users))
            if size.peer_rounds:
                self._peers(made)

    async def _without_spam(
        self, made: Stack, users: Mapping[str, str], boxes: dict[int, str]
    ) -> None:
        size, result = self._size, self.result
        sender = end_to_end.Sender(made, self._corpus, list(users))
        if size.warm_up:
            say(f"warming up with {size.warm_up} mails")
            await end_to_end.throughput(made, sender, size.warm_up)
        say(f"idle for {size.idle_s:g} s")
        time.sleep(min(SETTLE_S, size.idle_s))  # noqa: ASYNC251 nothing else is to happen
        result["idle_cpu_ms_per_s"] = await end_to_end.idle(made, size.idle_s)
        say(f"{size.mails} mails at once")
        before = end_to_end.stored_bytes(made)
        found = await end_to_end.throughput(made, sender, size.mails)
        result["flow"] = found
        after = end_to_end.stored_bytes(made)
        result["bytes_per_mail"] = end_to_end.bytes_per_mail(before, after, size.mails)
        result["memory_mib"] = memory_mib(made.pids())
        say("accept to push")
        loaded_per_s = found["per_s"]["stored"] * LOADED_SHARE
        result["push"] = {
            "idle": await end_to_end.latency(
                made, sender, users, count=size.quiet_mails, per_s=QUIET_PER_S
            ),
            "loaded": await end_to_end.latency(
                made, sender, users, per_s=loaded_per_s, count=int(size.loaded_s * loaded_per_s)
            ),
        }
        say("answers of the edge")
        result["api"] = await api.answers(made, boxes, calls=size.calls)
        result["takeover_s"] = {
            role: await end_to_end.takeover(made, sender, users, role) for role in size.takeovers
        }

    async def _with_spam(self, made: Stack, users: Mapping[str, str]) -> None:
        say(f"{self._size.spam_mails} mails at once, SpamAssassin included")
        sender = end_to_end.Sender(made, self._corpus, list(users))
        found = await end_to_end.throughput(made, sender, self._size.spam_mails)
        self.result["flow_with_spam_engine"] = found
        self.result["memory_mib"]["spamd"] = memory_mib(made.pids())["spamd"]

    def _hop(self, made: Stack) -> None:
        if self._size.hop_events:
            say("one hop")
            words = (_everything(made), str(self._size.hop_events))
            self.result["hop"] = json.loads(made.run("benchmarks.stream_hop", *words))

    def _peers(self, made: Stack) -> None:
        """A broker and nothing that reads from it, so that accepting is all that happens."""
        self.result["peers_absent"] = {"postfix": why} if (why := postfix.absent()) else {}
        with running(made, "--only", "kafka,setup"):
            args = SimpleNamespace(
                rounds=self._size.peer_rounds, seconds=self._size.peer_s,
                sessions=end_to_end.SESSIONS, kafka=_everything(made),
            )  # fmt: skip
            self.result["accept"] = []
            for row in smtp_accept.compare(args):
                say(f"accepting: {row}")
                self.result["accept"].append(row)


def _everything(made: Stack) -> str:
    """The broker, with every right: benchmarks make topics of their own."""
    return replace(made.config, user="setup").bootstrap.written()


def say(words: str) -> None:
    print(f"bench: {words}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--update-docs", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by the way that stops the stack
    found: dict[str, Any] = {
        "size": asked.size,
        "seed": asked.seed,
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": machine.machine(),
        "versions": machine.versions(),
        "load_average": [machine.load_average()],
    }
    began_s, bench = time.monotonic(), Bench(SIZES[asked.size], asked.seed)
    try:
        bench.run()
    finally:  # what was measured until then is told all the same
        found["load_average"].append(machine.load_average())
        found |= {"took_s": round(time.monotonic() - began_s), **bench.result}
        text = json.dumps(found, indent=1)
        print(text)
        if asked.json:
            asked.json.write_text(f"{text}\n", encoding="utf-8")
    if asked.update_docs:
        report.update_docs(found)


if __name__ == "__main__":
    main()
