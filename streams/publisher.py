"""The way into the river: one idempotent producer per process.

`publish` returns once the broker has acknowledged every event, or raises within its own limit.
aiokafka's idempotent producer never gives up a batch, so an event that timed out is *in doubt*: it
may still be written, at any later time. Callers repeat with the same ids, which every reader
recognises. While the first copy is in doubt a repeat of the same bytes waits for that copy instead
of adding another, so an outage of any length costs no memory and hardly a duplicate. Behind it the
producer keeps two batches per partition at most (PublisherConfig.batch_max_bytes); a full one makes
`publish` wait, and time out.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from mail.errors import BrokerUnavailable, Poison
from mail.ports import Publisher
from schemas.events.unions import Event
from streams.codec import Headers, encode
from streams.config import PublisherConfig
from streams.sticky_partitioner import StickyPartitioner
from streams.topology import EVENT_MAX_BYTES, TOPIC_OF, Topic

_log = logging.getLogger(__name__)
RECORD_MAX_BYTES = EVENT_MAX_BYTES + 48 * 1024  # a dead letter: a whole event, and its headers
TOGETHER_MAX = 128  # events that wait for the broker's answer together
_RETRY_S = 0.5
_Record = tuple[str, bytes | None, bytes | None, int | None, tuple[tuple[str, bytes], ...]]
_Pending = list[tuple[_Record, "asyncio.Future[object]"]]


class RawRecord(Protocol):
    """Bytes for a topic."""

    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]: ...
    @property
    def partition(self) -> int | None: ...


class KafkaPublisher(Publisher):
    """Implements mail.ports.Publisher, and writes raw records for dead letters."""

    def __init__(
        self, config: PublisherConfig, *, topic_of: Mapping[type, Topic] = TOPIC_OF
    ) -> None:
        self._config = config
        self._topic_of = topic_of
        self._producer: AIOKafkaProducer | None = None
        self._turns = StickyPartitioner()
        self._any_partition = {one.name for one in topic_of.values() if one.any_partition}
        self._in_doubt: dict[_Record, asyncio.Future[object]] = {}
        self._renewal: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect. BrokerUnavailable: nobody answered within `connect_limit_s`."""
        try:
            async with asyncio.timeout(self._config.connect_limit_s):
                self._producer = await self._connect()
        except TimeoutError:
            raise BrokerUnavailable(f"no answer from {self._config.bootstrap}") from None

    async def stop(self) -> None:
        """Let go of the broker; what is still in doubt stays so."""
        if self._renewal is not None:
            self._renewal.cancel()
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._close(producer)

    async def publish(self, *events: Event) -> None:
        """Return once the broker acknowledged all. BrokerUnavailable: in doubt, repeat.

        Poison: an event that can never be written (over EVENT_MAX_BYTES, or no valid text).
        Many go in parts, each within the limit: a mail to a thousand owners must not hold all its
        commands in memory, nor fail for their number, as a repeat would fail again.
        """
        for start in range(0, len(events), TOGETHER_MAX):
            part = events[start : start + TOGETHER_MAX]
            await self._write([self._record(event) for event in part])

    async def publish_raw(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        *,
        partition: int | None = None,
    ) -> None:
        """Write bytes as they are. BrokerUnavailable: in doubt, repeat."""
        await self._write([(topic, key, value, partition, tuple(headers))])

    async def publish_all_raw(self, records: Sequence[RawRecord]) -> None:
        """Write records as they are, in order within a key. BrokerUnavailable: in doubt, repeat."""
        await self._write(
            [(one.topic, one.key, one.value, one.partition, one.headers) for one in records]
        )

    def _record(self, event: Event) -> _Record:
        topic = self._topic_of.get(type(event))
        if topic is None:
            raise Poison(f"no topic carries {type(event).__name__}")
        try:
            key, value = topic.key(event).encode(), encode(event)
        except ValueError as exc:
            raise Poison(f"{type(event).__name__} cannot be written: {exc}") from exc
        if len(value) > EVENT_MAX_BYTES:
            raise Poison(f"{type(event).__name__} of {len(value)} bytes; most {EVENT_MAX_BYTES}")
        return (topic.name, key, value, None, ())

    async def _write(self, records: Sequence[_Record]) -> None:
        producer = self._producer
        if producer is None:
            raise BrokerUnavailable("not connected")
        pending: _Pending = []
        try:
            async with asyncio.timeout(self._config.publish_limit_s):
                for record in records:
                    pending.append((record, await self._sent(producer, record)))
                await _all_settled([sent for _, sent in pending])
        except TimeoutError:
            limit_s = self._config.publish_limit_s
            raise BrokerUnavailable(f"not acknowledged within {limit_s:g} s") from None
        except MessageSizeTooLargeError as exc:
            raise Poison(str(exc)) from exc
        except KafkaError as exc:
            self._broken(producer, exc)
            raise BrokerUnavailable(repr(exc)) from exc
        finally:
            self._doubt(pending)
        self._check(producer, pending)

    async def _sent(self, producer: AIOKafkaProducer, record: _Record) -> asyncio.Future[object]:
        """The future of a record: that of its first copy, if that one is in doubt."""
        if self._in_doubt and (earlier := self._in_doubt.get(record)) is not None:
            return earlier
        topic, key, value, partition, headers = record
        if partition is None and topic in self._any_partition:
            partition = self._turn(producer, topic, len(value or b""))
        sent: asyncio.Future[object] = await producer.send(
            topic, value, key=key, partition=partition, headers=list(headers)
        )
        return sent

    def _turn(self, producer: AIOKafkaProducer, topic: str, size_bytes: int) -> int | None:
        """None, which goes by key, until the topic's partitions are known."""
        if known := producer.client.cluster.partitions_for_topic(topic):
            return self._turns.partition(topic, len(known), size_bytes, time.monotonic())
        return None

    def _doubt(self, pending: _Pending) -> None:
        """Remember what is not settled yet, until it is."""
        for record, sent in pending:
            if not sent.done() and self._in_doubt.setdefault(record, sent) is sent:
                sent.add_done_callback(partial(self._settled, record))

    def _settled(self, record: _Record, sent: asyncio.Future[object]) -> None:
        if self._in_doubt.get(record) is sent:
            del self._in_doubt[record]
        if not sent.cancelled():
            sent.exception()  # seen: nobody may be waiting any more

    def _check(self, producer: AIOKafkaProducer, pending: _Pending) -> None:
        failed = [error for _, sent in pending if (error := sent.exception()) is not None]
        if failed:
            self._broken(producer, failed[0])
            raise BrokerUnavailable(repr(failed[0]))

    def _broken(self, producer: AIOKafkaProducer, cause: BaseException | None) -> None:
        """A refusal leaves a gap in the producer's sequence: only a new one can go on."""
        if isinstance(cause, KafkaTimeoutError) or getattr(cause, "retriable", False):
            return  # waiting for room or for metadata: the producer itself is well
        if self._producer is producer:
            _log.warning("producer given up, a new one follows: %r", cause)
            self._producer = None
            self._in_doubt.clear()  # its batches will never be settled
            self._renewal = asyncio.create_task(self._renew(producer))

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        await self._close(broken)
        self._producer = await self._connect()

    async def _connect(self) -> AIOKafkaProducer:
        while True:
            producer = AIOKafkaProducer(
                **self._config.bootstrap.options,
                client_id=self._config.client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=self._config.linger_ms,
                max_batch_size=self._config.batch_max_bytes,
                max_request_size=RECORD_MAX_BYTES,
            )
            try:
                await producer.start()
            except KafkaError as exc:
                _log.info("waiting for the broker: %r", exc)
                await self._close(producer)
                await asyncio.sleep(_RETRY_S)
            except asyncio.CancelledError:
                await self._close(producer)
                raise
            else:
                return producer

    async def _close(self, producer: AIOKafkaProducer) -> None:
        """Stop a producer whose broker may be gone, within `close_limit_s`."""
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(self._config.close_limit_s):
                await producer.stop()
                return
        sender = producer._sender.sender_task  # noqa: SLF001  (no public way leaves in time)
        if sender is not None:
            sender.cancel()
        with suppress(KafkaError):
            await producer.client.close()


async def _all_settled(waited: Sequence["asyncio.Future[object]"]) -> None:
    """As asyncio.wait, which costs several times as much. Cut off, it leaves them alone."""
    left = {*waited}
    settled = asyncio.get_running_loop().create_future()

    def one_less(sent: "asyncio.Future[object]") -> None:
        left.discard(sent)
        if not left and not settled.done():
            settled.set_result(None)

    for sent in tuple(left):
        sent.add_done_callback(one_less)
    if left:
        await settled
