"""tail: mailbox events as they come, for the edge's sockets and waiting requests.

Reads every partition of mailbox.events from the end, in no consumer group; commits nothing.
A broker that goes away: the tail is not ready, tries again every second and goes on where it was.
A topic made anew: read from its beginning. A log cut short by the broker: read from the beginning
again. So an event may be told twice and never missed while this process lives; the journal
(GET /v1/changes) serves those who were away longer.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient

from mail.errors import Undecodable
from schemas.events.mailbox_events import MailboxEvent
from streams.codec import decode
from streams.config import Bootstrap
from streams.log_client import close_consumer
from streams.topics.ids import topic_identity

log = logging.getLogger(__name__)

MAILBOX_EVENTS = "mailbox.events"

EventSink = Callable[[MailboxEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTailConfig:
    """How the tail reads, and how soon it notices that something is wrong."""

    topic: str = MAILBOX_EVENTS
    check_interval_s: float = 2.0  # is the broker there, is the topic still the same
    retry_s: float = 1.0
    request_timeout_s: float = 10.0
    batch_records: int = 200  # told to sinks before the loop gets its turn


class _TopicChanged(Exception):
    """The topic was made anew, or has more partitions."""


class EventTail:
    """The Feed port over Kafka."""

    def __init__(self, bootstrap: Bootstrap, config: EventTailConfig | None = None) -> None:
        self._bootstrap = bootstrap
        self._config = config or EventTailConfig()
        self._sinks: dict[str, dict[object, EventSink]] = {}
        self._identity: tuple[uuid.UUID, int] | None = None
        self._positions: dict[int, int] = {}  # partition -> next offset to read
        self._listening = asyncio.Event()
        self._silent = False  # an outage that the log knows of
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """True while what is published now will be told."""
        return self._listening.is_set()

    async def wait_ready(self) -> None:
        """Return once the tail listens; without a limit."""
        await self._listening.wait()

    async def start(self) -> None:
        """Begin to listen, in the background: the broker need not be there yet."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="event-tail")

    async def stop(self) -> None:
        """Stop listening; a later start goes on where this one ended."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def subscribe(self, user_id: str, sink: EventSink) -> Callable[[], None]:
        """Tell `sink` each event of the user; returns the way out. One that raises is dropped."""
        token = object()
        self._sinks.setdefault(user_id, {})[token] = sink
        return lambda: self._drop(user_id, token)

    def _drop(self, user_id: str, token: object) -> None:
        sinks = self._sinks.get(user_id, {})
        sinks.pop(token, None)
        if not sinks:
            self._sinks.pop(user_id, None)

    async def _run(self) -> None:
        while True:
            try:
                await self._session()
            except _TopicChanged as change:
                log.warning("%s: %s; reading on from its beginning", self._config.topic, change)
            except Exception as error:  # noqa: BLE001 - whatever the client does, listen again
                self._complain(error)
            await asyncio.sleep(self._config.retry_s)

    def _complain(self, error: Exception) -> None:
        """Once per outage: a broker may be away for hours."""
        if not self._silent:
            log.warning("%s: not heard, trying again: %r", self._config.topic, error)
        self._silent = True

    def _listen(self) -> None:
        if self._silent:
            log.info("%s: heard again", self._config.topic)
        self._silent = False
        self._listening.set()

    async def _session(self) -> None:
        """Listen until something is wrong; always ends by raising."""
        timeout_ms = int(self._config.request_timeout_s * 1000)
        client = AIOKafkaClient(**self._bootstrap.options, request_timeout_ms=timeout_ms)
        consumer = AIOKafkaConsumer(
            **self._bootstrap.options,
            request_timeout_ms=timeout_ms,
            fetch_max_wait_ms=int(self._config.check_interval_s * 1000),  # when nothing comes
            auto_offset_reset="none",
            enable_auto_commit=False,
        )
        try:
            await client.bootstrap()
            await consumer.start()
            await self._place(client, consumer)
            self._listen()
            await self._follow(client, consumer)
        finally:
            self._listening.clear()
            await close_consumer(consumer)
            await client.close()

    async def _place(self, client: AIOKafkaClient, consumer: AIOKafkaConsumer) -> None:
        """Take every partition, each at its place."""
        identity = await topic_identity(client, self._config.topic)
        parts = [TopicPartition(self._config.topic, number) for number in range(identity[1])]
        begins = await consumer.beginning_offsets(parts)
        ends = await consumer.end_offsets(parts)
        if self._identity is None:
            self._positions = {part.partition: ends[part] for part in parts}
        elif self._identity[0] != identity[0]:
            self._positions = {}
        self._identity = identity
        consumer.assign(parts)
        for part in parts:
            position = self._position(part, begins[part], ends[part])
            self._positions[part.partition] = position
            consumer.seek(part, position)

    def _position(self, part: TopicPartition, begin: int, end: int) -> int:
        """Where to read on: the own position if it is still in the log, else the beginning."""
        known = self._positions.get(part.partition, begin)
        if begin <= known <= end:
            return known
        log.warning(
            "%s: partition %d holds offsets %d to %d, read up to %d; reading on from %d",
            *(part.topic, part.partition, begin, end, known, begin),
        )
        return begin

    async def _follow(self, client: AIOKafkaClient, consumer: AIOKafkaConsumer) -> None:
        loop = asyncio.get_running_loop()
        check_at_s = loop.time() + self._config.check_interval_s
        while True:
            batch = await consumer.getmany(
                timeout_ms=int(self._config.check_interval_s * 1000),
                max_records=self._config.batch_records,
            )
            for part, records in batch.items():
                for record in records:
                    self._tell(record)
                    self._positions[part.partition] = record.offset + 1
            await asyncio.sleep(0)  # buffered batches come without a pause of their own
            if loop.time() >= check_at_s:
                await self._check(client)
                check_at_s = loop.time() + self._config.check_interval_s

    async def _check(self, client: AIOKafkaClient) -> None:
        """_TopicChanged; KafkaError when the broker does not answer."""
        identity = await topic_identity(client, self._config.topic)
        if identity != self._identity:
            raise _TopicChanged("made anew, or with more partitions")

    def _tell(self, record: Any) -> None:
        """Only events of subscribed users are decoded: the key is the user."""
        user_id = (record.key or b"").decode("utf-8", "replace")
        sinks = self._sinks.get(user_id)
        if not sinks:
            return
        event = self._decoded(record, user_id)
        if event is None:
            return
        for token, sink in tuple(sinks.items()):
            try:
                sink(event)
            except Exception:
                log.exception("a listener of user %s failed and is dropped", user_id)
                self._drop(user_id, token)

    def _decoded(self, record: Any, user_id: str) -> MailboxEvent | None:
        try:
            event: Any = decode(MAILBOX_EVENTS, record.offset, record.value)
        except Undecodable as error:
            log.error("skipped for user %s: %s", user_id, error)  # noqa: TRY400 - no stack needed
            return None
        if event.user_id != user_id:  # nobody is shown another's mail, whatever the key says
            log.error("%s@%d: key and event name different users", record.topic, record.offset)
            return None
        found: MailboxEvent = event
        return found
