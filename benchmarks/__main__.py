"""`make bench`: cost of a mail in a whole stack, and latencies.

    python -m benchmarks [--size full|quick|tiny] [--seed N] [--json FILE] [--update-docs]

Starts one state folder twice. In the first run benchmarks/spamc.py replaces spamd, because the CPU
of SpamAssassin would hide all other costs; everything else is real.
Progress goes to stderr; the result goes to stdout and FILE as JSON.
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

from benchmarks import (
    api,
    end_to_end,
    fixtures,
    machine,
    mailbox_views,
    outside,
    postfix,
    relay_queue,
    report,
    sending,
    smtp_accept,
)
from benchmarks.fixtures import Corpus
from benchmarks.processes import memory_mib
from benchmarks.stack import Stack, running, stack
from benchmarks.webmail.measure import QUICK, Mailbox, Work
from benchmarks.webmail.measure import measure as measure_webmail
from stack.ports import free_port
from streams.topology import ROLES
from tests.support.far_domain import settings_to
from tests.support.stack_world import UNLIMITED_SENDING

USERS = 20
LOADED_SHARE = 0.7  # of the measured rate of stored mails
QUIET_PER_S = 5.0  # a mail every 200 ms finds the stack idle
SETTLE_S = 3.0  # after a start, before the first measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Amount of work; `tiny` only tests that the benchmark runs."""

    warm_up: int  # mails before the measurement, for the just-in-time compiler of Java
    mails: int
    spam_mails: int  # with the real spam engine; 0: not measured
    idle_s: float
    quiet_mails: int
    loaded_s: float
    filled: tuple[int, ...]  # numbers of mails in the mailboxes of the API measurements
    calls: int
    sent_mails: int  # local, and as many to other servers
    sent_slowly: int  # one at a time
    stuck_mails: int = 0  # at a tarpit, while others are sent
    queued_mails: int = 0  # in the relay queue
    viewed_mails: int = 0  # in the folder of the mailbox views
    webmail: Work | None = None
    indexed_mails: int = 0  # of the largest mailbox, for the searches of the webmail
    hop_events: int = 0
    peer_rounds: int = 0
    peer_s: float = 0.0
    takeovers: Sequence[str] = ()


SIZES = {
    "full": Size(
        warm_up=3_000, mails=6_000, spam_mails=150, idle_s=20, quiet_mails=100, loaded_s=20,
        filled=(1_000, 200_000), calls=400, sent_mails=2_000, sent_slowly=50, stuck_mails=1_000,
        queued_mails=20_000, viewed_mails=50_000, hop_events=20_000, peer_rounds=3,
        peer_s=2.0, takeovers=ROLES, webmail=Work(), indexed_mails=1_000,
    ),
    "quick": Size(
        warm_up=1_000, mails=2_000, spam_mails=40, idle_s=5, quiet_mails=25, loaded_s=5,
        filled=(1_000, 20_000), calls=100, sent_mails=500, sent_slowly=20, stuck_mails=200,
        queued_mails=2_000, viewed_mails=10_000, hop_events=5_000, peer_rounds=1,
        peer_s=1.0, takeovers=("mailbox",), indexed_mails=1_000,
        webmail=QUICK,
    ),
    "tiny": Size(
        warm_up=0, mails=60, spam_mails=0, idle_s=0.5, quiet_mails=3, loaded_s=0.5,
        filled=(50, 600), calls=5, sent_mails=20, sent_slowly=2,
    ),
}  # fmt: skip


class Bench:
    """One run; each measurement adds its figures to `result`."""

    def __init__(self, size: Size, seed: int) -> None:
        self._size = size
        self._corpus = Corpus(seed, bodies=0)
        self.result: dict[str, Any] = {}

    def run(self) -> None:
        size, relay_port = self._size, free_port()
        with (
            outside.sink(outside.FAST, relay_port),
            outside.sink(outside.STUCK, relay_port, "-W", "mail:600"),
            outside.dns() as dns_port,
            stack(UNLIMITED_SENDING | settings_to(relay_port, dns_port)) as stack_,
        ):
            log(f"filling mailboxes of {size.filled} mails")
            filled = ",".join(map(str, size.filled))
            indexed = ("--indexed", str(size.indexed_mails))
            users, boxes = end_to_end.tokens_of(
                stack_.run("benchmarks.seed", "--users", str(USERS), "--filled", filled, *indexed)
            )
            with running(stack_, "--stand-in") as first_s:
                self.result["start_up_s"] = {"first": round(first_s, 1)}
                uvloop.run(self._without_spam(stack_, users, boxes))
                uvloop.run(self._sending(stack_, users))
                self._hop(stack_)
            if size.spam_mails:
                with running(stack_) as again_s:
                    self.result["start_up_s"]["again"] = round(again_s, 1)
                    uvloop.run(self._with_spam(stack_, users))
            if size.peer_rounds:
                self._peers(stack_)
        if size.queued_mails:
            log(f"{size.queued_mails} mails in the relay queue")
            self.result["relay"] = relay_queue.compare(size.queued_mails)
        if size.viewed_mails:
            log(f"views of {size.viewed_mails} mails")
            self.result["views"] = uvloop.run(mailbox_views.measure(size.viewed_mails, 5, None))

    async def _without_spam(
        self, stack_: Stack, users: Mapping[str, str], boxes: dict[int, str]
    ) -> None:
        size, result = self._size, self.result
        sender = end_to_end.Sender(stack_, self._corpus, list(users))
        if size.warm_up:
            log(f"warming up with {size.warm_up} mails")
            await end_to_end.throughput(stack_, sender, size.warm_up)
        log(f"idle for {size.idle_s:g} s")
        time.sleep(min(SETTLE_S, size.idle_s))  # noqa: ASYNC251 nothing else must run
        result["idle_cpu_ms_per_s"] = await end_to_end.idle(stack_, size.idle_s)
        log(f"{size.mails} mails at once")
        before = end_to_end.stored_bytes(stack_)
        flow = await end_to_end.throughput(stack_, sender, size.mails)
        result["flow"] = flow
        after = end_to_end.stored_bytes(stack_)
        result["bytes_per_mail"] = end_to_end.bytes_per_mail(before, after, size.mails)
        result["memory_mib"] = memory_mib(stack_.pids())
        log("accept to push")
        loaded_per_s = flow["per_s"]["stored"] * LOADED_SHARE
        result["push"] = {
            "idle": await end_to_end.latency(
                stack_, sender, users, count=size.quiet_mails, per_s=QUIET_PER_S
            ),
            "loaded": await end_to_end.latency(
                stack_, sender, users, per_s=loaded_per_s, count=int(size.loaded_s * loaded_per_s)
            ),
        }
        log("HTTP calls")
        result["api"] = await api.measure_calls(stack_, boxes, calls=size.calls)
        await self._webmail(stack_, sender, boxes)
        result["takeover_s"] = {
            role: await end_to_end.takeover(stack_, sender, users, role) for role in size.takeovers
        }

    async def _webmail(
        self, stack_: Stack, sender: end_to_end.Sender, boxes: Mapping[int, str]
    ) -> None:
        if (work := self._size.webmail) is None:
            return
        log("webmail")
        mails = max(boxes)
        number = USERS + list(boxes).index(mails)  # as benchmarks/seed.py numbers its users
        mailbox = Mailbox(
            address=fixtures.address(number), token=boxes[mails], sender=sender, corpus=self._corpus
        )
        figures = await measure_webmail(stack_, mailbox, work)
        self.result["webmail"] = {"mails": mails, "figures": figures}

    async def _sending(self, stack_: Stack, users: Mapping[str, str]) -> None:
        size, result = self._size, self.result
        poster = sending.Poster(stack_, self._corpus, users)
        before = end_to_end.stored_bytes(stack_)
        result["sending"] = {}
        for name, recipient in (
            ("to users", sending.local(list(users))), ("to other servers", sending.remote)
        ):  # fmt: skip
            log(f"{size.sent_mails} mails that users send {name}")
            flow = await sending.throughput(stack_, poster, users, size.sent_mails, recipient)
            result["sending"][name] = flow
        after = end_to_end.stored_bytes(stack_)
        result["bytes_per_sent_mail"] = end_to_end.bytes_per_mail(
            before, after, 2 * size.sent_mails
        )
        log("POST to push")
        result["post_to_push"] = await sending.latency(stack_, poster, users, size.sent_slowly)
        if size.stuck_mails:
            log(f"mails beside {size.stuck_mails} at a tarpit")
            result["beside_stuck"] = await sending.beside_stuck(
                stack_, poster, users, count=size.sent_slowly, stuck_mails=size.stuck_mails
            )

    async def _with_spam(self, stack_: Stack, users: Mapping[str, str]) -> None:
        log(f"{self._size.spam_mails} mails at once, SpamAssassin included")
        sender = end_to_end.Sender(stack_, self._corpus, list(users))
        flow = await end_to_end.throughput(stack_, sender, self._size.spam_mails)
        self.result["flow_with_spam_engine"] = flow
        self.result["memory_mib"]["spamd"] = memory_mib(stack_.pids())["spamd"]

    def _hop(self, stack_: Stack) -> None:
        if self._size.hop_events:
            log("one hop")
            words = (_everything(stack_), str(self._size.hop_events))
            self.result["hop"] = json.loads(stack_.run("benchmarks.stream_hop", *words))

    def _peers(self, stack_: Stack) -> None:
        """Measure accepting alone: a broker without consumers."""
        self.result["peers_absent"] = {"postfix": why} if (why := postfix.absent()) else {}
        with running(stack_, "--only", "kafka,setup"):
            args = SimpleNamespace(
                rounds=self._size.peer_rounds, seconds=self._size.peer_s,
                sessions=end_to_end.SESSIONS, kafka=_everything(stack_),
            )  # fmt: skip
            self.result["accept"] = []
            for row in smtp_accept.compare(args):
                log(f"accepting: {row}")
                self.result["accept"].append(row)


def _everything(stack_: Stack) -> str:
    """Return the bootstrap address of a broker user with all rights, to create topics."""
    return replace(stack_.config, user="setup").bootstrap.written()


def log(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--update-docs", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exit also stops the stack
    result: dict[str, Any] = {
        "size": options.size,
        "seed": options.seed,
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": machine.machine(),
        "versions": machine.versions(),
        "load_average": [machine.load_average()],
    }
    began_s, bench = time.monotonic(), Bench(SIZES[options.size], options.seed)
    try:
        bench.run()
    finally:  # an aborted run reports the figures that it has
        result["load_average"].append(machine.load_average())
        result |= {"took_s": round(time.monotonic() - began_s), **bench.result}
        text = json.dumps(result, indent=1)
        print(text)
        if options.json:
            options.json.write_text(f"{text}\n", encoding="utf-8")
    if options.update_docs:
        report.update_docs(result)


if __name__ == "__main__":
    main()
