"""Reading the log from outside: offsets, what groups have committed, spans of records.

No group is joined and nothing is committed. Connections are made at the first question and kept;
after a failure they are closed, and the next question makes new ones. Every question is bounded
in time and raises BrokerUnavailable beyond it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from mail.errors import BrokerUnavailable
from streams.config import Bootstrap

T = TypeVar("T")
Offsets = dict[TopicPartition, int]

_BATCH_RECORDS = 500  # read at once, so that the loop is never held for long
_POLL_MS = 500
_RETRY_S = 0.2
_GONE = (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError)


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer for good, whatever state its broker is in.

    aiokafka's stop() may end with the cancellation of one of its own fetches and then leaves the
    client's metadata task running; so the client is closed here in any case.
    """
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
    finally:
        await consumer._client.close()  # noqa: SLF001 - there is no public way


class LogClient:
    """Questions about topics and groups. One `read` at a time; the rest may be asked together."""

    def __init__(self, bootstrap: Bootstrap, *, timeout_s: float = 10.0) -> None:
        self._bootstrap = bootstrap
        self._timeout_s = timeout_s
        self._connecting = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close the connections; a later question opens new ones."""
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()
        if consumer is not None:
            await close_consumer(consumer)

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Partitions of those `topics` that exist."""
        names = sorted(set(topics))

        async def ask() -> list[TopicPartition]:
            _, admin = await self._connected()
            return [
                TopicPartition(topic["topic"], part["partition"])
                for topic in await admin.describe_topics(names)
                if not topic["error_code"]
                for part in topic["partitions"]
            ]

        return sorted(await self._bounded(ask)) if names else []

    async def begins(self, partitions: Iterable[TopicPartition]) -> Offsets:
        """The first offset that is still there, by partition."""
        return await self._offsets("beginning_offsets", list(partitions))

    async def ends(self, partitions: Iterable[TopicPartition]) -> Offsets:
        """The offset that the next record will get, by partition."""
        return await self._offsets("end_offsets", list(partitions))

    async def since(self, partitions: Iterable[TopicPartition], at_ms: int) -> Offsets:
        """The first offset written at `at_ms` (Unix epoch) or later; the end when there is none."""
        parts = list(partitions)
        ends = await self.ends(parts)
        found = await self._offsets("offsets_for_times", dict.fromkeys(parts, at_ms))
        return {part: found[part].offset if found.get(part) else ends[part] for part in parts}

    async def committed(self, group: str) -> Offsets:
        """What `group` has committed; a partition without a commit is left out."""

        async def ask() -> Offsets:
            _, admin = await self._connected()
            found = await admin.list_consumer_group_offsets(group)
            return {part: at.offset for part, at in found.items() if at.offset >= 0}

        return await self._bounded(ask)

    async def delete_before(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Remove every record below the given offsets, for good."""
        records = {part: RecordsToDelete(before_offset=at) for part, at in offsets.items()}

        async def ask() -> None:
            _, admin = await self._connected()
            await admin.delete_records(records)

        if records:
            await self._bounded(ask)

    async def read(self, spans: Mapping[TopicPartition, tuple[int, int]]) -> AsyncIterator[Any]:
        """Records of each span [first, beyond), in order within a partition.

        What was trimmed meanwhile is passed over. BrokerUnavailable when nothing comes for the
        client's time limit.
        """
        open_spans = {part: span for part, span in spans.items() if span[0] < span[1]}
        if not open_spans:
            return
        consumer = await self._bounded(lambda: self._assigned(open_spans))
        poll = partial(consumer.getmany, timeout_ms=_POLL_MS, max_records=_BATCH_RECORDS)
        silent_since = asyncio.get_running_loop().time()
        while open_spans:
            batch = await self._bounded(poll)
            for part, records in batch.items():
                for record in records:
                    if part in open_spans and record.offset < open_spans[part][1]:
                        yield record
            advanced = await self._close_finished(consumer, open_spans)
            silent_since = self._check_silence(silent_since, advanced=bool(batch) or advanced)

    async def _assigned(self, spans: Mapping[TopicPartition, tuple[int, int]]) -> AIOKafkaConsumer:
        consumer, _ = await self._connected()
        consumer.assign(list(spans))
        for part, (first, _) in spans.items():
            consumer.seek(part, first)
        return consumer

    async def _close_finished(
        self, consumer: AIOKafkaConsumer, open_spans: dict[TopicPartition, tuple[int, int]]
    ) -> bool:
        """Forget the spans that were read to their end; True when there was one."""
        before = len(open_spans)
        for part, (_, beyond) in list(open_spans.items()):
            if await self._bounded(partial(consumer.position, part)) >= beyond:
                consumer.pause(part)
                del open_spans[part]
        return len(open_spans) < before

    def _check_silence(self, since_s: float, *, advanced: bool) -> float:
        now_s = asyncio.get_running_loop().time()
        if advanced:
            return now_s
        if now_s - since_s > self._timeout_s:
            raise BrokerUnavailable(f"no record for {self._timeout_s:g} s while reading")
        return since_s

    async def _offsets(self, method: str, question: Any) -> dict[TopicPartition, Any]:
        async def ask() -> dict[TopicPartition, Any]:
            consumer, _ = await self._connected()
            answer: dict[TopicPartition, Any] = await getattr(consumer, method)(question)
            return answer

        return await self._bounded(ask) if question else {}

    async def _bounded(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._patiently(ask)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise BrokerUnavailable(str(error) or type(error).__name__) from error

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again while the broker is there and not ready: a leader or coordinator to come."""
        while True:
            try:
                return await ask()
            except KafkaError as error:
                if isinstance(error, _GONE) or not error.retriable:
                    raise
            await asyncio.sleep(_RETRY_S)

    async def _connected(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        async with self._connecting:
            if self._consumer is None or self._admin is None:
                await self.stop()
                await self._connect()
            return self._consumer, self._admin

    async def _connect(self) -> None:
        timeout_ms = int(self._timeout_s * 1000)
        self._admin = AIOKafkaAdminClient(**self._bootstrap.options, request_timeout_ms=timeout_ms)
        self._consumer = AIOKafkaConsumer(
            **self._bootstrap.options,
            request_timeout_ms=timeout_ms,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await self._admin.start()
        await self._consumer.start()
