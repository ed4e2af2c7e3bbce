"""One Faust app per role: one consumer group, one pause domain, one process per worker."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import faust
import mode

from mail.errors import BrokerUnavailable, Fatal, PostriverError
from mail.lifecycle import Periodic
from streams.config import Bootstrap, StreamsConfig, TopicsConfig
from streams.dead_letters.set_aside import ParkRequests
from streams.readers.lag import LagMeter
from streams.topics.admin import ended_epochs
from streams.topology import BY_NAME, DEAD_LETTERS, Stage, Topic
from streams.worker.attempt_turns import AttemptTurns
from streams.worker.event_handling import EventHandling, EventPublisher, Handler, Instead
from streams.worker.harness import Harness, RewindingConsumer
from streams.worker.mailbox_table import MailboxStatesTable
from streams.worker.status import RoleStatus

log = logging.getLogger(__name__)
ASK_AGAIN_S = 0.5
POLL_FOREVER_S = 20 * 24 * 3600.0  # a held worker must never be thrown out of its group


class WorkerCrashed(Fatal):
    """Faust gave up; the supervisor starts the worker again."""


class MorePartitions(Fatal):
    """Partitions were added to a topic: equal keys stand in two of them from then on."""

    def __init__(self, topic: str, found: int, ours: int) -> None:
        super().__init__(
            f"topic {topic} has {found} partitions, this worker was made for {ours}: stop all "
            "writers, and make the topic anew with as many as before; see docs/failure-modes.md"
        )


class Worker:
    """The stages of one role in this process.

    `ports` may be a function of the worker's tables: MailboxStatesTable exists for one app only.
    """

    def __init__(  # noqa: PLR0913  (a composition, made once)
        self,
        role: str,
        handlers: Mapping[str, Handler],
        ports: Callable[[MailboxStatesTable | None], Any],
        *,
        stages: Sequence[Stage],
        config: StreamsConfig,
        river: EventPublisher,
        epochs: Mapping[str, str],
        topics: Mapping[str, Topic] = BY_NAME,
        unread: bool = False,
        dead_letters: str = DEAD_LETTERS,
        instead: Mapping[str, Instead] = MappingProxyType({}),
    ) -> None:
        self.status = RoleStatus()
        self._config = config
        self._role = role
        self._epochs = epochs
        self._app = make_app(role, config)
        self._fatal: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        table = MailboxStatesTable
        self._unread = table(self._app, partitions=config.partitions) if unread else None
        self._reads = [stage.reads for stage in stages]
        self._requests = ParkRequests(config.requests_folder)
        around = {
            "ports": ports(self._unread), "river": river, "config": config,
            "status": self.status, "dead_letters": dead_letters,
            "alone": AttemptTurns(), "requests": self._requests,
        }  # fmt: skip
        self._harnesses: list[Harness] = [
            self._bound(
                stage,
                topics[stage.reads],
                handlers[stage.name],
                around | {"epoch": epochs[stage.reads], "instead": instead.get(stage.name)},
            )
            for stage in stages
        ]
        self._listen()

    def _bound(
        self,
        stage: Stage,
        topic: Topic,
        handler: Handler,
        around: Mapping[str, Any],
    ) -> Harness:
        handling = EventHandling(stage=stage, topic=topic, handler=handler, **around)
        harness = Harness(self._app, handling, self._fail)
        harness.bind()
        return harness

    def unhealthy(self) -> str | None:
        """Why this process should be started again; a held partition is never a reason."""
        limit_s = self._config.stall_limit_s
        reasons = [harness.stalled(limit_s) for harness in self._harnesses]
        reasons.append(
            self.status.unhealthy(start_limit_s=self._config.start_limit_s, stall_limit_s=limit_s)
        )
        return next((reason for reason in reasons if reason is not None), None)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Fatal: the process must end without acknowledging."""
        meter = LagMeter(self._config.bootstrap)
        watch = Periodic(
            f"lag: {self._role}", lambda: self._read_lag(meter),
            interval_s=self._config.lag_interval_s,
        )  # fmt: skip
        look = Periodic(
            f"requests: {self._role}", self._look, interval_s=self._config.requests_interval_s
        )
        await meter.start()
        watch.start()
        look.start()
        try:
            await self._run_app(stop)
        finally:
            await look.stop()
            await watch.stop()
            await meter.stop()

    async def _look(self) -> None:
        """Take new requests of operators; a small folder, read on the loop."""
        if self._requests.look():
            for harness in self._harnesses:
                harness.wake()

    async def _run_app(self, stop: asyncio.Event) -> None:
        starting = asyncio.create_task(self._app.start(), name="faust")
        starting.add_done_callback(self._started)
        told = asyncio.create_task(stop.wait())
        crashed = asyncio.create_task(self._crashed())
        try:
            await self._first_of(told, crashed, self._fatal)
            failed = self._fatal.done() or crashed.done()
            limit_s = 0.0 if failed else self._config.drain_limit_s
            await asyncio.gather(*(harness.drain(limit_s) for harness in self._harnesses))
            await self._stop_app()
        finally:
            for task in (starting, told, crashed):
                task.cancel()
        if self._fatal.done():
            raise _as_fatal(self._fatal.result())
        if crashed.done() and not crashed.cancelled():
            reason = self._app.crash_reason
            raise WorkerCrashed(f"faust crashed: {reason!r}") from reason

    @staticmethod
    async def _first_of(*ends: "asyncio.Future[Any]") -> None:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

    async def _crashed(self) -> None:
        """Return when the app, or anything in it, has crashed."""
        while not self._app.crashed:  # noqa: ASYNC110  (Faust has no event to wait for)
            await asyncio.sleep(0.5)

    async def _stop_app(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.stop_limit_s):
                await self._app.stop()

    def _started(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._fatal.done():
            log.critical("%s ends: %r", self._role, error, exc_info=error)
            for harness in self._harnesses:
                harness.end()
            self._fatal.set_result(error)

    async def _read_lag(self, meter: LagMeter) -> None:
        group = self._config.group(self._role)
        try:
            lags = (await meter.read_partitions({group: self._reads}))[group]
        except BrokerUnavailable:
            self.status.unread()
            raise
        self._check_partitions(part.topic for part in lags)
        self.status.behind({(part.topic, part.partition): lag for part, lag in lags.items()})

    def _check_partitions(self, topics: Iterable[str]) -> None:
        """Keys move with the number of partitions: one user would have two writers."""
        ours = self._config.partitions
        for topic, partitions in Counter(topics).items():
            if partitions > ours:
                self._fail(MorePartitions(topic, partitions, ours))

    def _listen(self) -> None:
        async def revoked(app: Any, lost: Any, **_: Any) -> None:
            del app
            self.status.revoked()
            self._doubt()
            for harness in self._harnesses:
                await harness.revoke(lost)

        async def complete(app: Any, **_: Any) -> None:
            # Faust resumes our partitions before it seeks to what is committed. What is fetched in
            # between is dropped, and then counted as done; so until the seek nothing may flow.
            app.consumer.stop_flow()
            await self._check_epochs()  # before anything is fetched
            self._doubt()
            ours = [tp for tp in app.consumer.assignment() if tp.topic in self._reads]
            self.status.assigned((tp.topic, tp.partition) for tp in ours)

        self._app.on_partitions_revoked.connect(revoked, weak=False)
        self._app.on_rebalance_complete.connect(complete, weak=False)

    async def _check_epochs(self) -> None:
        """Positions of a topic that was made anew would make us skip what was never done."""
        mine = {name: self._epochs[name] for name in self._reads}
        config = TopicsConfig(bootstrap=self._config.bootstrap, request_limit_s=10.0)
        ended = None
        while ended is None:
            try:
                ended = await ended_epochs(config, mine)
            except BrokerUnavailable as cause:
                log.info("%s waits to compare epochs: %s", self._role, cause)
                await asyncio.sleep(ASK_AGAIN_S)
        if ended:
            error = Fatal(f"{', '.join(ended)} was made anew: positions known here are void")
            self._fail(error)
            raise error

    def _doubt(self) -> None:
        if self._unread is not None:
            self._unread.doubt_all()


def make_app(role: str, config: StreamsConfig) -> faust.App:
    """Every setting that matters is said; the rest is Faust's."""
    app = faust.App(
        config.group(role),
        broker=f"kafka://{config.bootstrap}",
        broker_credentials=credentials(config.bootstrap),
        datadir=str(_made(config.data_folder)),
        store="memory://",
        autodiscover=False,
        processing_guarantee="at_least_once",
        topic_partitions=config.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=config.commit_interval_s,
        broker_session_timeout=config.session_timeout_s,
        broker_heartbeat_interval=config.heartbeat_interval_s,
        broker_rebalance_timeout=config.rebalance_timeout_s,
        broker_request_timeout=max(20.0, config.rebalance_timeout_s + 5.0),
        broker_max_poll_interval=POLL_FOREVER_S,
        broker_max_poll_records=config.poll_max_records,
        stream_buffer_maxsize=config.buffer_max_events,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        producer_acks=-1,
        producer_linger=0.005,
        agent_supervisor=mode.CrashingSupervisor,
        web_enabled=False,
        worker_redirect_stdouts=False,
        origin="streams",
    )
    app.transport.Consumer = RewindingConsumer
    return app


def credentials(bootstrap: Bootstrap) -> faust.SASLCredentials | None:
    if not bootstrap.user:
        return None
    return faust.SASLCredentials(
        username=bootstrap.user, password=bootstrap.password, mechanism="PLAIN"
    )


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _as_fatal(error: BaseException) -> Fatal:
    if isinstance(error, Fatal):
        return error
    if isinstance(error, PostriverError):
        return WorkerCrashed(str(error))
    return WorkerCrashed(repr(error))
