"""Event tail: live mailbox events, for the WebSockets and the waiting requests of the edge.

Reads every partition of mailbox.events from its end, without a consumer group; commits nothing.
Broker unreachable: the tail is not ready, reconnects every second and continues at its position.
Topic deleted and created again, or log truncated below the position: the tail reads from the
beginning. So a subscriber may get an event twice, and misses no event while this process runs.
Clients that were disconnected for longer read the journal (GET /v1/changes).
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
from mail.ports import LiveEvents
from schemas.events.mailbox_events import MailboxEvent
from schemas.ids import UserId
from streams.codec import decode
from streams.config import Bootstrap
from streams.log_client import close_consumer
from streams.readers.reconnecting import ReconnectingReader
from streams.topics.ids import topic_identity

log = logging.getLogger(__name__)

MAILBOX_EVENTS = "mailbox.events"

EventSink = Callable[[MailboxEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTailConfig:
    """How the tail reads, and how soon it detects a failure."""

    topic: str = MAILBOX_EVENTS
    check_interval_s: float = 2.0  # whether the broker answers and the topic is the same
    retry_s: float = 1.0
    request_timeout_s: float = 10.0
    batch_records: int = 200  # passed to sinks before other tasks run


class _TopicChanged(Exception):
    """The topic was deleted and created again, or has more partitions."""


class EventTail(LiveEvents):
    """The LiveEvents port over Kafka."""

    def __init__(self, bootstrap: Bootstrap, config: EventTailConfig | None = None) -> None:
        self._bootstrap = bootstrap
        self._config = config or EventTailConfig()
        self._sinks: dict[str, dict[object, EventSink]] = {}
        self._identity: tuple[uuid.UUID, int] | None = None
        self._positions: dict[int, int] = {}  # partition: next offset to read
        self._listening = asyncio.Event()
        self._reader = ReconnectingReader(
            f"event tail of {self._config.topic}", self._session, retry_s=self._config.retry_s
        )

    @property
    def ready(self) -> bool:
        """True while subscribers will get an event that is published now."""
        return self._listening.is_set()

    async def wait_ready(self) -> None:
        """Return once the tail listens; no time limit."""
        await self._listening.wait()

    async def start(self) -> None:
        """Begin to listen in the background: the broker may start later."""
        self._reader.start()

    async def stop(self) -> None:
        """Stop listening; `start` continues at the same position."""
        await self._reader.stop()

    def subscribe(self, user_id: UserId, sink: EventSink) -> Callable[[], None]:
        """Call `sink` for each event of the user; return the function that ends the subscription.

        A sink that raises is unsubscribed.
        """
        token = object()
        self._sinks.setdefault(user_id, {})[token] = sink
        return lambda: self._unsubscribe(user_id, token)

    def _unsubscribe(self, user_id: UserId, token: object) -> None:
        sinks = self._sinks.get(user_id, {})
        sinks.pop(token, None)
        if not sinks:
            self._sinks.pop(user_id, None)

    async def _session(self) -> None:
        """Listen until the topic changes, or raise at the first failure."""
        timeout_ms = int(self._config.request_timeout_s * 1000)
        client = AIOKafkaClient(**self._bootstrap.options, request_timeout_ms=timeout_ms)
        consumer = AIOKafkaConsumer(
            **self._bootstrap.options,
            request_timeout_ms=timeout_ms,
            fetch_max_wait_ms=int(self._config.check_interval_s * 1000),
            auto_offset_reset="none",
            enable_auto_commit=False,
        )
        try:
            await client.bootstrap()
            await consumer.start()
            await self._seek(client, consumer)
            self._reader.connected()
            self._listening.set()
            await self._follow(client, consumer)
        except _TopicChanged as change:
            log.warning("%s: %s; reading from its beginning", self._config.topic, change)
        finally:
            self._listening.clear()
            await close_consumer(consumer)
            await client.close()

    async def _seek(self, client: AIOKafkaClient, consumer: AIOKafkaConsumer) -> None:
        """Assign every partition to `consumer` and seek to the position of each."""
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
        """Return the next offset to read: the position if the log has it, else the beginning."""
        known = self._positions.get(part.partition, begin)
        if begin <= known <= end:
            return known
        log.warning(
            "%s: partition %d has offsets %d to %d, the position was %d; reading from %d",
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
                    self._deliver(record)
                    self._positions[part.partition] = record.offset + 1
            await asyncio.sleep(0)  # getmany does not suspend while it has buffered records
            if loop.time() >= check_at_s:
                await self._check(client)
                check_at_s = loop.time() + self._config.check_interval_s

    async def _check(self, client: AIOKafkaClient) -> None:
        """Raise _TopicChanged if the topic changed, KafkaError if the broker does not answer."""
        identity = await topic_identity(client, self._config.topic)
        if identity != self._identity:
            raise _TopicChanged("created again, or with more partitions")

    def _deliver(self, record: Any) -> None:
        """Pass the event of `record` to its user's sinks.

        The key is the user id, so only events of subscribed users are decoded.
        """
        user_id = UserId((record.key or b"").decode("utf-8", "replace"))
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
                log.exception("a subscriber of user %s failed and is unsubscribed", user_id)
                self._unsubscribe(user_id, token)

    def _decoded(self, record: Any, user_id: UserId) -> MailboxEvent | None:
        try:
            event = decode(MAILBOX_EVENTS, record.offset, record.value)
        except Undecodable as error:
            log.error("skipped for user %s: %s", user_id, error)  # noqa: TRY400 - no stack needed
            return None
        assert isinstance(event, MailboxEvent)
        if event.user_id != user_id:  # a wrong key must not show a user another user's mail
            log.error("%s@%d: key and event name different users", record.topic, record.offset)
            return None
        return event
