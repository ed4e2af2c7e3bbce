"""Worker: one process that runs the stages of one role.

Each role has one Faust app. An app is one consumer group and one pause domain: a rebalance, or the
full buffer of one agent, stops fetching for all agents of the app.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
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
from streams.worker.assignment_lease import AssignmentLease
from streams.worker.consumer import RewindingConsumer
from streams.worker.context import EventPublisher, WorkerContext
from streams.worker.event_handling import EventHandling
from streams.worker.harness import Harness
from streams.worker.mailbox_table import MailboxStatesTable
from streams.worker.recovery import Tables
from streams.worker.stage_handler import StageHandler
from streams.worker.stall_report import task_stacks

log = logging.getLogger(__name__)
RETRY_S = 0.5
MAX_POLL_INTERVAL_S = 20 * 24 * 3600.0  # a held worker must never be removed from its group

HandlersOf = Callable[[MailboxStatesTable | None], Mapping[str, StageHandler]]


class WorkerCrashed(Fatal):
    """Faust has crashed; the supervisor restarts the worker."""


class MorePartitions(Fatal):
    """Partitions were added to a topic: from then on one key is in two partitions."""

    def __init__(self, topic: str, actual: int, expected: int) -> None:
        super().__init__(
            f"topic {topic} has {actual} partitions, this worker expects {expected}: stop all "
            f"writers, and create the topic again with {expected}; see docs/failure-modes.md"
        )


class Worker:
    """The stages of one role in this process.

    `handlers`, by stage, is a function of the worker's table of mailbox states, since a Faust table
    belongs to one app. The function gets None unless `with_mailbox_states`.
    `lease`: of the stores that only the owner of a partition may write; the worker renews it.
    """

    def __init__(  # noqa: PLR0913  (built once, by the role)
        self,
        role: str,
        handlers: HandlersOf,
        *,
        stages: Sequence[Stage],
        config: StreamsConfig,
        publisher: EventPublisher,
        epochs: Mapping[str, str],
        topics: Mapping[str, Topic] = BY_NAME,
        with_mailbox_states: bool = False,
        dead_letters: str = DEAD_LETTERS,
        lease: AssignmentLease | None = None,
    ) -> None:
        self._config = config
        self._role = role
        self._epochs = epochs
        self._app = make_app(role, config, lease or AssignmentLease(config.session_timeout_s))
        self._fatal: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._topics = [stage.reads for stage in stages]
        self._context = WorkerContext(
            publisher=publisher,
            config=config,
            dead_letters=dead_letters,
            park_requests=ParkRequests(config.requests_folder),
        )
        self.status = self._context.status
        self._was_unhealthy = False
        self._states: MailboxStatesTable | None = None
        if with_mailbox_states:
            self._states = MailboxStatesTable(self._app, partitions=config.partitions)
        by_stage = handlers(self._states)
        self._harnesses = [
            self._harness(stage, topics[stage.reads], by_stage[stage.name]) for stage in stages
        ]
        self._connect_signals()

    def _harness(self, stage: Stage, topic: Topic, handler: StageHandler) -> Harness:
        handling = EventHandling(
            stage=stage,
            topic=topic,
            epoch=self._epochs[topic.name],
            handler=handler,
            worker=self._context,
        )
        harness = Harness(self._app, handling, self._fail)
        harness.bind()
        return harness

    def unhealthy(self) -> str | None:
        """Return why this process should be restarted, or None. A hold is never a reason."""
        limit_s = self._config.stall_limit_s
        reasons = [harness.stalled(limit_s) for harness in self._harnesses]
        reasons.append(
            self.status.unhealthy(start_limit_s=self._config.start_limit_s, stall_limit_s=limit_s)
        )
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is not None and not self._was_unhealthy:
            log.error("%s makes no progress: %s\n%s", self._role, reason, self._stacks())
        self._was_unhealthy = reason is not None
        return reason

    def _stacks(self) -> str:
        """Return the stacks of the tasks of this loop and of the thread that fetches."""
        fetching = getattr(self._app.consumer, "fetch_loop", None)
        return task_stacks([asyncio.get_running_loop(), *([fetching] if fetching else [])])

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. Raises Fatal: the process must end without acknowledging."""
        config = self._config
        meter = LagMeter(config.bootstrap)
        lag = Periodic(
            f"lag: {self._role}", lambda: self._read_lag(meter), interval_s=config.lag_interval_s
        )
        requests = Periodic(
            f"requests: {self._role}",
            self._read_requests,
            interval_s=config.requests_interval_s,
        )
        await meter.start()
        lag.start()
        requests.start()
        try:
            await self._run_app(stop)
        finally:
            await requests.stop()
            await lag.stop()
            await meter.stop()

    async def _read_requests(self) -> None:
        """Read operators' requests. The folder is small, so it is read on the event loop."""
        if self._context.park_requests.refresh():
            for harness in self._harnesses:
                harness.wake()

    async def _run_app(self, stop: asyncio.Event) -> None:
        starting = asyncio.create_task(self._app.start(), name="faust")
        starting.add_done_callback(self._started)
        stopping = asyncio.create_task(stop.wait())
        crashed = asyncio.create_task(self._crashed())
        try:
            await self._first_of(stopping, crashed, self._fatal)
            failed = self._fatal.done() or crashed.done()
            limit_s = 0.0 if failed else self._config.drain_limit_s
            await asyncio.gather(*(harness.drain(limit_s) for harness in self._harnesses))
            await self._stop_app()
        finally:
            for task in (starting, stopping, crashed):
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
        """Return once the app, or a service of it, has crashed."""
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
            lags = (await meter.read_partitions({group: self._topics}))[group]
        except BrokerUnavailable:
            self.status.lag_unknown()
            raise
        self._check_partitions(part.topic for part in lags)
        self.status.set_lags({(part.topic, part.partition): lag for part, lag in lags.items()})

    def _check_partitions(self, topics: Iterable[str]) -> None:
        """Fail if partitions were added.

        The partition of a key depends on their number, so one user would have two writers.
        """
        expected = self._config.partitions
        for topic, partitions in Counter(topics).items():
            if partitions > expected:
                self._fail(MorePartitions(topic, partitions, expected))

    def _connect_signals(self) -> None:
        async def revoked(app: Any, lost: Any, **_: Any) -> None:
            del app
            self.status.revoked()
            self._doubt_states()
            for harness in self._harnesses:
                await harness.revoke(lost)

        async def complete(app: Any, **_: Any) -> None:
            # Faust resumes the assigned partitions before it seeks to their committed offsets. It
            # drops the records fetched in between, and then counts them as done. So no record may
            # be fetched until the seek.
            app.consumer.stop_flow()
            await self._check_epochs()  # before the first fetch
            self._doubt_states()
            assigned = [tp for tp in app.consumer.assignment() if tp.topic in self._topics]
            self.status.assigned((tp.topic, tp.partition) for tp in assigned)

        self._app.on_partitions_revoked.connect(revoked, weak=False)
        self._app.on_rebalance_complete.connect(complete, weak=False)

    async def _check_epochs(self) -> None:
        """Fail if a topic was deleted and created again.

        The committed offsets belong to the old topic, and would skip events of the new topic.
        """
        epochs = {name: self._epochs[name] for name in self._topics}
        config = TopicsConfig(bootstrap=self._config.bootstrap, request_limit_s=10.0)
        ended = None
        while ended is None:
            try:
                ended = await ended_epochs(config, epochs)
            except BrokerUnavailable as cause:
                log.info("%s: waiting for the broker to compare epochs: %s", self._role, cause)
                await asyncio.sleep(RETRY_S)
        if ended:
            names = ", ".join(ended)
            error = Fatal(f"{names} was created again: committed offsets do not belong to it")
            self._fail(error)
            raise error

    def _doubt_states(self) -> None:
        if self._states is not None:
            self._states.doubt_all()


def make_app(role: str, config: StreamsConfig, lease: AssignmentLease) -> faust.App:
    """Return the Faust app of a role, with every setting that matters stated."""
    app = faust.App(
        config.group(role),
        broker=f"kafka://{config.bootstrap}",
        broker_credentials=credentials(config.bootstrap),
        datadir=str(_created(config.data_folder)),
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
        broker_max_poll_interval=MAX_POLL_INTERVAL_S,
        broker_max_poll_records=config.poll_max_records,
        stream_buffer_maxsize=config.buffer_max_events,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        producer_acks=-1,
        producer_linger=0.005,
        agent_supervisor=mode.CrashingSupervisor,
        TableManager=Tables,
        web_enabled=False,
        worker_redirect_stdouts=False,
        origin="streams",
    )
    app.transport.Consumer = partial(RewindingConsumer, lease=lease)
    return app


def credentials(bootstrap: Bootstrap) -> faust.SASLCredentials | None:
    if not bootstrap.user:
        return None
    return faust.SASLCredentials(
        username=bootstrap.user,
        password=bootstrap.password,
        mechanism=bootstrap.mechanism,
        ssl_context=bootstrap.tls,
    )


def _created(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _as_fatal(error: BaseException) -> Fatal:
    if isinstance(error, Fatal):
        return error
    if isinstance(error, PostriverError):
        return WorkerCrashed(str(error))
    return WorkerCrashed(repr(error))
