"""Publisher: one idempotent producer per process.

`publish` returns once the broker has acknowledged every event, or raises within its time limit.
aiokafka's idempotent producer never gives up a batch, so an event that timed out is *in doubt*: it
may still be written, at any later time. Callers repeat with the same ids, which every reader
recognises. While the first copy is in doubt, a repeat of the same bytes waits for that copy instead
of adding another copy. So an outage of any length costs no memory and almost no duplicates. The
producer keeps at most two batches per partition (PublisherConfig.batch_max_bytes); when both are
full, `publish` waits, and times out.
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
TOGETHER_MAX = 128  # events that wait for their acknowledgements together
_RETRY_S = 0.5
_Record = tuple[str, bytes | None, bytes | None, int | None, tuple[tuple[str, bytes], ...]]
_Pending = list[tuple[_Record, "asyncio.Future[object]"]]


class RawRecord(Protocol):
    """A record as bytes."""

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
    """Implements mail.ports.Publisher, and publishes raw records for dead letters."""

    def __init__(
        self, config: PublisherConfig, *, topic_of: Mapping[type, Topic] = TOPIC_OF
    ) -> None:
        self._config = config
        self._topic_of = topic_of
        self._producer: AIOKafkaProducer | None = None
        self._partitioner = StickyPartitioner()
        self._any_partition = {topic.name for topic in topic_of.values() if topic.any_partition}
        self._in_doubt: dict[_Record, asyncio.Future[object]] = {}
        self._renewal: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable: no broker answered within `connect_limit_s`."""
        try:
            async with asyncio.timeout(self._config.connect_limit_s):
                self._producer = await self._connect()
        except TimeoutError:
            raise BrokerUnavailable(f"no answer from {self._config.bootstrap}") from None

    async def stop(self) -> None:
        """Disconnect. Events in doubt stay in doubt."""
        if self._renewal is not None:
            self._renewal.cancel()
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._close(producer)

    async def publish(self, *events: Event) -> None:
        """Return once the broker has acknowledged all. Raises BrokerUnavailable: in doubt, repeat.

        Raises Poison: an event can never be published (over EVENT_MAX_BYTES, or invalid text).
        TOGETHER_MAX events at a time, each part within the time limit. So a mail to a thousand
        owners does not keep all its commands in memory, and does not time out because of their
        number, which would happen again at each repeat.
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
        """Publish one raw record. Raises BrokerUnavailable: in doubt, repeat."""
        await self._write([(topic, key, value, partition, tuple(headers))])

    async def publish_all_raw(self, records: Sequence[RawRecord]) -> None:
        """Publish raw records, in order within a key. Raises as `publish_raw`."""
        await self._write(
            [(raw.topic, raw.key, raw.value, raw.partition, raw.headers) for raw in records]
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
            raise Poison(
                f"{type(event).__name__} of {len(value)} bytes; the limit is {EVENT_MAX_BYTES}"
            )
        return (topic.name, key, value, None, ())

    async def _write(self, records: Sequence[_Record]) -> None:
        producer = self._producer
        if producer is None:
            raise BrokerUnavailable("not connected")
        pending: _Pending = []
        try:
            async with asyncio.timeout(self._config.publish_limit_s):
                for record in records:
                    pending.append((record, await self._send(producer, record)))
                await _wait_all([sent for _, sent in pending])
        except TimeoutError:
            limit_s = self._config.publish_limit_s
            raise BrokerUnavailable(f"not acknowledged within {limit_s:g} s") from None
        except MessageSizeTooLargeError as exc:
            raise Poison(str(exc)) from exc
        except KafkaError as exc:
            self._replace_if_broken(producer, exc)
            raise BrokerUnavailable(repr(exc)) from exc
        finally:
            self._remember_doubt(pending)
        self._raise_failure(producer, pending)

    async def _send(self, producer: AIOKafkaProducer, record: _Record) -> asyncio.Future[object]:
        """Send a record and return its future; if it is in doubt, that of its first copy."""
        if self._in_doubt and (earlier := self._in_doubt.get(record)) is not None:
            return earlier
        topic, key, value, partition, headers = record
        if partition is None and topic in self._any_partition:
            partition = self._partition(producer, topic, len(value or b""))
        sent: asyncio.Future[object] = await producer.send(
            topic, value, key=key, partition=partition, headers=list(headers)
        )
        return sent

    def _partition(self, producer: AIOKafkaProducer, topic: str, size_bytes: int) -> int | None:
        """Return the sticky partition; None, which means by key, until the partitions are known."""
        if partitions := producer.client.cluster.partitions_for_topic(topic):
            return self._partitioner.partition(topic, len(partitions), size_bytes, time.monotonic())
        return None

    def _remember_doubt(self, pending: _Pending) -> None:
        """Remember records without an acknowledgement, until their futures are done."""
        for record, sent in pending:
            if not sent.done() and self._in_doubt.setdefault(record, sent) is sent:
                sent.add_done_callback(partial(self._forget_doubt, record))

    def _forget_doubt(self, record: _Record, sent: asyncio.Future[object]) -> None:
        if self._in_doubt.get(record) is sent:
            del self._in_doubt[record]
        if not sent.cancelled():
            sent.exception()  # retrieve it: no caller may be waiting any more

    def _raise_failure(self, producer: AIOKafkaProducer, pending: _Pending) -> None:
        failed = [error for _, sent in pending if (error := sent.exception()) is not None]
        if failed:
            self._replace_if_broken(producer, failed[0])
            raise BrokerUnavailable(repr(failed[0]))

    def _replace_if_broken(self, producer: AIOKafkaProducer, cause: BaseException | None) -> None:
        """Replace a producer after a refusal, which leaves a gap in its sequence numbers."""
        if isinstance(cause, KafkaTimeoutError) or getattr(cause, "retriable", False):
            return  # it waits for buffer space or metadata, and works otherwise
        if self._producer is producer:
            _log.warning("replacing the producer after: %r", cause)
            self._producer = None
            self._in_doubt.clear()  # its batches will never be acknowledged
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
        """Stop a producer within `close_limit_s`, whether or not its broker answers."""
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(self._config.close_limit_s):
                await producer.stop()
                return
        sender = producer._sender.sender_task  # noqa: SLF001  (no public method ends in time)
        if sender is not None:
            sender.cancel()
        with suppress(KafkaError):
            await producer.client.close()


async def _wait_all(futures: Sequence["asyncio.Future[object]"]) -> None:
    """Wait until all `futures` are done; a cancellation does not cancel them.

    As asyncio.wait, at a fraction of its cost.
    """
    pending = {*futures}
    all_done = asyncio.get_running_loop().create_future()

    def discard(future: "asyncio.Future[object]") -> None:
        pending.discard(future)
        if not pending and not all_done.done():
            all_done.set_result(None)

    for future in tuple(pending):
        future.add_done_callback(discard)
    if pending:
        await all_done
