"""A worker process for tests: `python -m tests.streams.small_role` with a JSON object on argv.

Handles notes by their word, logs each step as a JSON line, and writes its status to a file.
    ""            answered
    wait:FILE     raises Transient while FILE exists
    slow:MS       answered after so many milliseconds
    lease         answered when this worker's assignment lease has ended; checked every 5 ms
    die           SIGKILL to its own process
    poison, fatal, unexpected, cancelled, big, stray, table
"""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mail.errors import AssignmentInDoubt, Fatal, Poison, Transient
from schemas.mailbox import MailboxState
from streams.config import Bootstrap, PublisherConfig, StreamsConfig
from streams.publisher import KafkaPublisher
from streams.topology import EVENT_MAX_BYTES, Topic
from streams.worker.assignment_lease import AssignmentLease
from streams.worker.stage_handler import StageHandler, bind
from streams.worker.worker import Worker
from tests.streams.small import Answer, Note, SmallTopology


class Stray(Note, tag="stray.v1", kw_only=True, frozen=True):
    """An event that no topic carries."""


class Role:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.log = Path(options["log"]).open("a", buffering=1)  # noqa: SIM115  (until the end)
        self.unread = None
        self.lease = AssignmentLease(6.0)  # the session timeout of StreamsConfig

    def write(self, what: str, **more: Any) -> None:
        self.log.write(json.dumps({"what": what, "pid": os.getpid(), **more}) + "\n")

    async def handle(self, note: Note, work, _: Any) -> list[Any]:
        at = work.position.partition
        self.write("begin", key=note.key, number=note.number, attempt=work.attempt, partition=at)
        answer = Answer(
            key=note.key, number=note.number, attempt=work.attempt, offset=work.position.offset,
            origins=work.origins,
        )  # fmt: skip
        word, _, rest = note.word.partition(":")
        outputs = await getattr(self, f"on_{word or 'answer'}")(answer, rest, work)
        work.after_publish(lambda: self.write("published", key=note.key, number=note.number))
        return outputs

    async def on_answer(self, answer: Answer, _: str, __) -> list[Any]:
        return [answer]

    async def on_slow(self, answer: Answer, ms: str, _) -> list[Any]:
        await asyncio.sleep(int(ms) / 1000)
        return [answer]

    async def on_lease(self, answer: Answer, _: str, __) -> list[Any]:
        while True:
            try:
                self.lease.check()
            except AssignmentInDoubt as error:
                self.write("refused", why=str(error))
                return [answer]
            self.write("allowed", renewed=self.lease._renewed_ms)
            await asyncio.sleep(0.005)

    async def on_wait(self, answer: Answer, file: str, _) -> list[Any]:
        if Path(file).exists():
            raise Transient("gate", "closed")
        return [answer]

    async def on_die(self, answer: Answer, _: str, __) -> list[Any]:
        await asyncio.sleep(0.05)  # meanwhile other events begin
        os.kill(os.getpid(), signal.SIGKILL)
        return []

    async def on_poison(self, answer: Answer, _: str, __) -> list[Any]:
        raise Poison("spoilt")

    async def on_fatal(self, answer: Answer, file: str, __) -> list[Any]:
        if Path(file).exists():
            return [answer]
        raise Fatal("over")

    async def on_unexpected(self, answer: Answer, most: str, _) -> list[Any]:
        if answer.attempt <= int(most):
            raise ZeroDivisionError("never thought of")
        return [answer]

    async def on_cancelled(self, answer: Answer, _: str, __) -> list[Any]:
        raise asyncio.CancelledError

    async def on_big(self, answer: Answer, _: str, __) -> list[Any]:
        return [Note(key=answer.key, number=answer.number, word="x" * EVENT_MAX_BYTES)]

    async def on_stray(self, answer: Answer, _: str, __) -> list[Any]:
        return [Stray(key=answer.key, number=answer.number)]

    async def on_table(self, answer: Answer, _: str, work) -> list[Any]:
        """Count the key's notes in the table, as the mailbox counts a user's."""
        known = self.unread.get(answer.key)
        raw = self.unread._table.get(answer.key.encode())
        self.write(
            "table",
            key=answer.key,
            proven=None if known is None else known.seq,
            kept=None if raw is None else self.unread._decode(raw).seq,
        )
        state = MailboxState(
            seq=answer.number,
            partition=work.position.partition,
            offset=work.position.offset,
        )
        work.after_publish(lambda: self.unread.set(answer.key, state))
        return [answer]

    def handlers(self, states) -> dict[str, StageHandler]:
        self.unread = states
        return {"answer": bind(self.handle, None)}

    async def run(self) -> None:
        options, stop = self.options, asyncio.Event()
        topology = SmallTopology(
            options["topology"],
            in_flight=options.get("in_flight", 8),
            ordered=options.get("ordered", False),
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        limit_s = options.get("publish_limit_s", 10.0)
        publisher = KafkaPublisher(
            PublisherConfig(
                bootstrap=Bootstrap.parse(options["bootstrap"]), publish_limit_s=limit_s
            ),
            topic_of=topology.topic_of,
        )
        await publisher.start()
        worker = Worker(
            topology.role,
            self.handlers,
            stages=(topology.stage,),
            config=StreamsConfig(
                bootstrap=Bootstrap.parse(options["bootstrap"]),
                worker=f"w{os.getpid()}",
                data_folder=Path(options["log"]).parent / "faust",
                notes_folder=Path(options["log"]).parent / "tries",
                requests_folder=Path(options["log"]).parent / "requests",
                requests_interval_s=0.1,
                group_prefix="",
                partitions=options.get("partitions", 3),
                unexpected_first_s=0.05,
                lag_interval_s=0.5,
                **options.get("config", {}),
            ),
            publisher=publisher,
            epochs=options["epochs"],
            topics=_by_name(topology.topics),
            with_mailbox_states=options.get("unread", False),
            dead_letters=topology.dead.name,
            lease=self.lease,
        )
        writing = asyncio.create_task(self.write_status(worker))
        try:
            await worker.run(stop)
        finally:
            writing.cancel()
            await publisher.stop()

    async def write_status(self, worker: Worker) -> None:
        """Write the status to a file ten times a second, and a line when it first is ready."""
        path, ready = Path(self.options["log"]).with_suffix(f".{os.getpid()}"), False
        while True:
            status = worker.status
            if status.ready and not ready:
                ready = True
                self.write("ready", after_s=time.time() - self.options["began_s"])
            dump = {
                "ready": status.ready,
                "lag": status.lag,
                "partitions": status.partitions,
                "held": [held.plain() for held in status.held],
                "unhealthy": worker.unhealthy(),
                "renewed_ms": self.lease._renewed_ms,
            }
            part = path.with_name(f"{path.name}.part")
            part.write_text(json.dumps(dump))
            part.replace(path)  # a reader never sees half of it
            await asyncio.sleep(0.1)


def _by_name(topics: tuple[Topic, ...]) -> dict[str, Topic]:
    return {topic.name: topic for topic in topics}


if __name__ == "__main__":
    import uvloop

    uvloop.run(Role(json.loads(sys.argv[1])).run())
