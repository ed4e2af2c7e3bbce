"""Cost of one stage: CPU per event, events per second, and latency from publish to result.

`python -m benchmarks.stream_hop BOOTSTRAP [EVENTS]` needs a running broker and prints JSON. A
trivial handler in one worker process emits one event for each event; the CPU of the broker is not
counted. The topics get new names and are not deleted.
"""

import asyncio
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.end_to_end import percentiles
from benchmarks.stack import print_json
from streams.codec import decode_of
from streams.config import Bootstrap, PublisherConfig, StreamsConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.topics.admin import ensure_topics
from streams.topology import FOREVER, Stage, Topic
from streams.worker.stage_handler import bind
from streams.worker.worker import Worker


class BenchInput(msgspec.Struct, frozen=True, kw_only=True, tag="bench.note.v1"):
    key: str
    at_s: float
    filler: bytes = b""


class BenchOutput(msgspec.Struct, frozen=True, kw_only=True, tag="bench.answer.v1"):
    key: str
    at_s: float
    filler: bytes = b""


class NullSettings:
    """Settings that are not stored."""

    async def setting(self, _: str) -> str | None:
        return None

    async def exchange_setting(self, _: str, __: str | None, ___: str) -> bool:
        return True


def topic(name: str, carries: tuple[type, ...]) -> Topic:
    return Topic(
        name=name, carries=carries, key=lambda event: event.key, keyed_by="key",
        writers=(), reader=None, only_copy=False, settings=dict(FOREVER),
    )  # fmt: skip


async def answer(note: BenchInput, _: Any, __: Any) -> list[Any]:
    return [BenchOutput(key=note.key, at_s=note.at_s, filler=note.filler)]


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Bench:
    def __init__(self, bootstrap: Bootstrap) -> None:
        name = f"bench.{time.time_ns() // 1_000_000}"
        self.bootstrap = bootstrap
        self.name = name
        self.notes, self.answers = (
            topic(f"{name}.notes", (BenchInput,)),
            topic(f"{name}.out", (BenchOutput,)),
        )
        self.publisher = KafkaPublisher(
            PublisherConfig(bootstrap=bootstrap),
            topic_of={BenchInput: self.notes, BenchOutput: self.answers},
        )
        self.done = 0

    async def worker(self) -> Worker:
        epochs = await ensure_topics(
            TopicsConfig(bootstrap=self.bootstrap),
            NullSettings(),
            topics=(self.notes, self.answers),
        )
        stage = Stage(
            name="answer", role=self.name, reads=self.notes.name, emits=(BenchOutput,),
            in_flight=16, ordered=False,
        )  # fmt: skip
        config = StreamsConfig(
            bootstrap=self.bootstrap, worker="bench", data_folder=Path(tempfile.mkdtemp())
        )
        return Worker(
            self.name, lambda _: {"answer": bind(answer, None)}, stages=(stage,), config=config,
            publisher=self.publisher, epochs=epochs, topics={self.notes.name: self.notes},
        )  # fmt: skip

    async def put(self, count: int) -> None:
        for first in range(0, count, 500):
            await self.publisher.publish(
                *(BenchInput(key=str(n), at_s=time.time(), filler=bytes(1000))
                  for n in range(first, min(first + 500, count)))
            )  # fmt: skip

    async def throughput(self, events: int) -> None:
        worker, stop = await self.worker(), asyncio.Event()
        await self.publisher.start()
        await self.put(events)
        running = asyncio.create_task(worker.run(stop))
        await self.until(worker, 1)
        first, began_s, began_cpu_s = self.count(worker), time.monotonic(), cpu_s()
        await self.until(worker, events)
        took_s, used_s = time.monotonic() - began_s, cpu_s() - began_cpu_s
        done = events - first
        result = {
            "events": done,
            "per_s": round(done / took_s),
            "cpu_us": round(used_s / done * 1e6),
        }
        print_json(result | await self.latency())
        stop.set()
        await running
        await self.publisher.stop()

    async def latency(self) -> dict[str, float]:
        """Measure the time from publish to arrival at a plain consumer, at 50 events per second."""
        consumer = AIOKafkaConsumer(
            self.answers.name, **self.bootstrap.options, auto_offset_reset="latest"
        )
        await consumer.start()
        await consumer.seek_to_end()
        took_ms: list[float] = []
        putting = asyncio.create_task(self.trickle(300))
        while len(took_ms) < 300:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    note = decode_of(self.answers, record.offset, record.value)
                    took_ms.append((time.time() - note.at_s) * 1000)
        await putting
        await consumer.stop()
        return percentiles(took_ms)

    async def trickle(self, count: int) -> None:
        for number in range(count):
            await self.publisher.publish(BenchInput(key=str(number), at_s=time.time()))
            await asyncio.sleep(0.02)

    def count(self, worker: Worker) -> int:
        return worker.status.events["answer", "done"]

    async def until(self, worker: Worker, count: int) -> None:
        while self.count(worker) < count:  # noqa: ASYNC110  (a figure, not an event)
            await asyncio.sleep(0.005)


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # new topics have no leader yet
    at, *more = sys.argv[1:]
    uvloop.run(Bench(Bootstrap.parse(at)).throughput(int(more[0]) if more else 20_000))
