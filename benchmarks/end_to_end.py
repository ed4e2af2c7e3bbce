"""Mails through a whole stack: rates, CPU per process, stored bytes, and latency to the owner."""

import asyncio
import itertools
import json
import os
import signal
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.fixtures import Corpus, Mail
from benchmarks.load import flood, paced, send_all
from benchmarks.processes import Meter
from benchmarks.stack import Stack

SESSIONS = 20
POLL_S = 0.1
SETTLED = frozenset({"sent", "partial", "failed", "canceled"})
LIMIT_S = 300.0  # of any wait; a longer wait is an error
EVENTS = "postriver_stage_events_total"


class Sender:
    """Sends mails to the users in turn, and records when each mail id was accepted."""

    def __init__(self, stack: Stack, corpus: Corpus, users: Sequence[str]) -> None:
        self._port = stack.config.ports.smtp
        self._corpus = corpus
        self._users = itertools.cycle(users)
        self._number = itertools.count()
        self.accepted_s: dict[str, float] = {}

    def mails(self, count: int, size_bytes: int = 4096) -> list[Mail]:
        make = self._corpus.mail
        return [make(next(self._users), next(self._number), size_bytes) for _ in range(count)]

    def _on_accepted(self, _: Mail, reply: bytes) -> None:
        mail_id = next(word for word in reply.decode().split() if word.count("-") == 4)
        self.accepted_s[mail_id] = time.perf_counter()

    async def flood(self, mails: Sequence[Mail]) -> None:
        await flood(self._port, mails, self._on_accepted, keep_open=False, sessions=SESSIONS)

    async def paced(self, mails: Sequence[Mail], per_s: float) -> int:
        return await paced(self._port, mails, self._on_accepted, per_s=per_s)

    async def send_one(self, mail: Mail) -> None:
        await send_all(self._port, iter([mail, None]).__next__, self._on_accepted)


class Owners:
    """WebSockets of users; records when each mail id arrived, and when each submission was sent."""

    def __init__(self, stack: Stack, tokens: Mapping[str, str]) -> None:
        self._url = stack.config.http_url
        self._tokens = tokens
        self.arrived_s: dict[str, float] = {}
        self.sent_s: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(self._url)
        self._sockets = [await self._open(token) for token in self._tokens.values()]
        self._tasks = [asyncio.create_task(self._listen(socket)) for socket in self._sockets]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(socket.close() for socket in self._sockets))
        await self._http.close()

    async def _open(self, token: str) -> aiohttp.ClientWebSocketResponse:
        headers = {"Authorization": f"Bearer {token}"}
        return await self._http.ws_connect("/v1/push", headers=headers)

    async def _listen(self, opened: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in opened:
            now_s, body = time.perf_counter(), frame.json()
            if body.get("change") == "created":
                self.arrived_s.setdefault(body["message"]["mail_id"], now_s)
            elif body.get("type") == "submission" and body["submission"]["status"] in SETTLED:
                assert body["submission"]["status"] == "sent", body
                self.sent_s.setdefault(body["submission"]["id"], now_s)

    async def wait_for(self, mail_ids: Mapping[str, float]) -> None:
        """Wait until all `mail_ids` have arrived. Raises TimeoutError after LIMIT_S."""
        await self._until(lambda: mail_ids.keys() <= self.arrived_s.keys())

    async def wait_for_sent(self, ids: Mapping[str, float]) -> None:
        """Wait until all submissions of `ids` are sent. Raises TimeoutError after LIMIT_S."""
        await self._until(lambda: ids.keys() <= self.sent_s.keys())

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(POLL_S)


async def events_done(stack: Stack, stage: str, role: str) -> int:
    """Return the number of events that `stage` has finished, from the metrics of its process."""
    path = str(stack.home / "run" / f"{role}.sock")
    connector = aiohttp.UnixConnector(path=path)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://localhost/metrics") as response,
    ):
        text = await response.text()
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples)
    labels = {"stage": stage, "outcome": "done"}
    values = (
        sample.value for sample in samples if sample.name == EVENTS and sample.labels == labels
    )
    return int(sum(values))


async def when_done(stack: Stack, stage: str, count: int) -> float:
    """Wait until `stage` has finished `count` events, and return the time (perf_counter).

    Raises TimeoutError after LIMIT_S.
    """
    async with asyncio.timeout(LIMIT_S):
        while True:
            with suppress(aiohttp.ClientError):  # the process is starting
                if await events_done(stack, stage, stage) >= count:
                    return time.perf_counter()
            await asyncio.sleep(POLL_S)


async def throughput(stack: Stack, sender: Sender, count: int) -> dict[str, Any]:
    """Send `count` mails as fast as they are accepted; rates are averages over all mails.

    The load generator shares the cores of the machine. CPU per mail covers the stack only.
    """
    mails = sender.mails(count)
    before = {stage: await events_done(stack, stage, stage) for stage in ("mailbox", "index")}
    meter, began_s = Meter(stack.pids()), time.perf_counter()
    ends = [asyncio.create_task(when_done(stack, stage, n + count)) for stage, n in before.items()]
    await sender.flood(mails)
    accepted_s = time.perf_counter()
    stored_s, indexed_s = await asyncio.gather(*ends)
    moments = {"accepted": accepted_s, "stored": stored_s, "indexed": indexed_s}
    return {
        "mails": count,
        "size_bytes": len(mails[0].data),
        "per_s": {name: round(count / (at_s - began_s), 1) for name, at_s in moments.items()},
        "cpu_ms_per_mail": meter.ms_per(count),
    }


async def latency(
    stack: Stack, sender: Sender, tokens: Mapping[str, str], *, count: int, per_s: float
) -> dict[str, Any]:
    """Measure the time from the `250` to the frame on the owner's WebSocket, at a steady rate."""
    before = set(sender.accepted_s)
    async with Owners(stack, tokens) as owners:
        refused = await sender.paced(sender.mails(count), per_s)
        sent = {id_: at_s for id_, at_s in sender.accepted_s.items() if id_ not in before}
        await owners.wait_for(sent)
    took_ms = [(owners.arrived_s[id_] - at_s) * 1000 for id_, at_s in sent.items()]
    about = {"mails": len(took_ms), "refused": refused, "per_s": round(per_s, 1)}
    return {**about, **percentiles(took_ms)}


async def idle(stack: Stack, seconds: float) -> dict[str, float]:
    """Return the CPU of an idle stack by process, in milliseconds per second."""
    meter = Meter(stack.pids())
    await asyncio.sleep(seconds)
    return meter.ms_per_s()


def percentiles(took_ms: Sequence[float]) -> dict[str, float]:
    """Return the median, two percentiles and the maximum, in milliseconds."""
    ranked = sorted(took_ms)
    p95, p99 = (ranked[min(len(ranked) - 1, int(len(ranked) * share))] for share in (0.95, 0.99))
    return {
        "p50_ms": round(statistics.median(ranked), 2),
        "p95_ms": round(p95, 2),
        "p99_ms": round(p99, 2),
        "most_ms": round(ranked[-1], 2),
    }


def stored_bytes(stack: Stack) -> dict[str, int]:
    """Return the sizes of the log by topic, and of the state folder by store, in bytes."""
    home = stack.home
    sizes: dict[str, int] = {}
    for segment in (home / "kafka" / "log").glob("*/*.log"):
        topic = "topic " + segment.parent.name.rpartition("-")[0]
        sizes[topic] = sizes.get(topic, 0) + _size_bytes(segment)
    for file in (home / "data").rglob("*"):
        if file.is_file():
            store = "data " + file.name.split(".")[0].rstrip("0123456789-")
            sizes[store] = sizes.get(store, 0) + _size_bytes(file)
    contents = (home / "content").rglob("*")
    sizes["content"] = sum(_size_bytes(file) for file in contents if file.is_file())
    return sizes


def _size_bytes(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def bytes_per_mail(
    before: Mapping[str, int], after: Mapping[str, int], mails: int
) -> dict[str, int]:
    grown = {name: round((size - before.get(name, 0)) / mails) for name, size in after.items()}
    return {name: size for name, size in sorted(grown.items()) if size > 0}


async def takeover(stack: Stack, sender: Sender, tokens: Mapping[str, str], role: str) -> float:
    """Return the seconds from `kill -9` of the only process of a role to the next delivered mail.

    Delivered means on the WebSocket of its owner. For `index`, which delivery does not wait for, it
    means in the index.
    """
    async with Owners(stack, tokens) as owners:
        pid, began_s = stack.pids()[role], time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        before = set(sender.accepted_s)
        await sender.send_one(sender.mails(1)[0])
        sent = {id_: at_s for id_, at_s in sender.accepted_s.items() if id_ not in before}
        await owners.wait_for(sent)
    ends_s = [owners.arrived_s[id_] for id_ in sent]
    if role == "index":
        ends_s.append(await when_done(stack, role, 1))  # the new process counts from 0
    return round(max(ends_s) - began_s, 2)


def tokens_of(seeded: str) -> tuple[dict[str, str], dict[int, str]]:
    """Parse the output of benchmarks/seed.py: tokens by address, and by size of mailbox."""
    tokens = json.loads(seeded)
    return tokens["users"], {int(mails): token for mails, token in tokens["filled"].items()}
