"""Read-only client of the log: offsets, commits of consumer groups, ranges of records.

LogClient joins no group and commits nothing. The first request opens the connections, later
requests reuse them; a failure closes them, and the next request opens new connections. Every
request has a time limit and raises BrokerUnavailable beyond it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
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
Spans = dict[TopicPartition, tuple[int, int]]  # first offset, and the offset after the last
GroupsTopics = Mapping[str, Collection[str]]  # consumer group: the topics that it reads

_BATCH_RECORDS = 500  # per poll, which bounds the time that a poll blocks the event loop
_POLL_MS = 500
_RETRY_S = 0.2
_GONE = (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError)


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer and close its connections, whether or not its broker answers.

    aiokafka's stop() may raise the CancelledError of one of its own fetches. The client's metadata
    task then keeps running, so this function always closes the client as well.
    """
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
    finally:
        await consumer._client.close()  # noqa: SLF001 - aiokafka has no public method for it


class LogClient:
    """Requests about topics and groups. One `read` at a time; all other requests may overlap."""

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
        """Close the connections; a later request opens new connections."""
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()
        if consumer is not None:
            await close_consumer(consumer)

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Return the partitions of `topics`, sorted; topics that do not exist are left out."""
        names = sorted(set(topics))

        async def request() -> list[TopicPartition]:
            _, admin = await self._connected()
            return [
                TopicPartition(topic["topic"], part["partition"])
                for topic in await admin.describe_topics(names)
                if not topic["error_code"]
                for part in topic["partitions"]
            ]

        return sorted(await self._bounded(request)) if names else []

    async def begins(self, partitions: Iterable[TopicPartition]) -> Offsets:
        """Return the first offset that the log still has, by partition."""
        parts = list(partitions)
        return await self._offsets(parts, lambda consumer: consumer.beginning_offsets(parts))

    async def ends(self, partitions: Iterable[TopicPartition]) -> Offsets:
        """Return the offset that the next record will get, by partition."""
        parts = list(partitions)
        return await self._offsets(parts, lambda consumer: consumer.end_offsets(parts))

    async def since(self, partitions: Iterable[TopicPartition], at_ms: int) -> Offsets:
        """Return the first offset written at or after `at_ms` (Unix epoch), by partition.

        A partition without such a record has its end offset.
        """
        parts = list(partitions)
        ends = await self.ends(parts)
        times = dict.fromkeys(parts, at_ms)
        firsts = await self._offsets(parts, lambda consumer: consumer.offsets_for_times(times))
        return {part: firsts[part].offset if firsts.get(part) else ends[part] for part in parts}

    async def committed(self, group: str) -> Offsets:
        """Return the offsets that `group` has committed; partitions without a commit are absent."""

        async def request() -> Offsets:
            _, admin = await self._connected()
            commits = await admin.list_consumer_group_offsets(group)
            return {part: commit.offset for part, commit in commits.items() if commit.offset >= 0}

        return await self._bounded(request)

    async def unconsumed(self, groups_topics: GroupsTopics) -> dict[str, Spans]:
        """Return, by group, the spans of its topics' records that the group has not committed.

        A group without a commit in a partition, or with a commit that the log does not contain, has
        every record of the partition before it: a worker that starts there reads from the first
        record too. Topics that do not exist are left out.
        Commits are read before end offsets. A record consumed between the two requests is counted
        as unconsumed, so a span is sometimes too long and never too short.
        """
        parts = await self.partitions(
            topic for topics in groups_topics.values() for topic in topics
        )
        committed = {group: await self.committed(group) for group in groups_topics}
        begins, ends = await self.begins(parts), await self.ends(parts)
        return {
            group: {
                part: _unconsumed(committed[group].get(part), begins[part], ends[part])
                for part in parts
                if part.topic in topics
            }
            for group, topics in groups_topics.items()
        }

    async def delete_before(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Delete all records below the given offsets (DeleteRecords)."""
        records = {part: RecordsToDelete(before_offset=at) for part, at in offsets.items()}

        async def request() -> None:
            _, admin = await self._connected()
            await admin.delete_records(records)

        if records:
            await self._bounded(request)

    async def read(self, spans: Mapping[TopicPartition, tuple[int, int]]) -> AsyncIterator[Any]:
        """Yield the records of each span, in offset order within a partition.

        Records deleted in the meantime are skipped. Raises BrokerUnavailable: no record for the
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

    async def _assigned(self, spans: Spans) -> AIOKafkaConsumer:
        consumer, _ = await self._connected()
        consumer.assign(list(spans))
        for part, (first, _) in spans.items():
            consumer.seek(part, first)
        return consumer

    async def _close_finished(self, consumer: AIOKafkaConsumer, open_spans: Spans) -> bool:
        """Remove the spans that were read to their end; return whether there was any."""
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

    async def _offsets(
        self,
        partitions: Collection[TopicPartition],
        method: Callable[[AIOKafkaConsumer], Awaitable[dict[TopicPartition, Any]]],
    ) -> dict[TopicPartition, Any]:
        """Return the answer of a consumer's `method`; no request for no partitions."""

        async def request() -> dict[TopicPartition, Any]:
            consumer, _ = await self._connected()
            return await method(consumer)

        return await self._bounded(request) if partitions else {}

    async def _bounded(self, request: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to `request`. Raises BrokerUnavailable: a failure or the time limit."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._retried(request)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise BrokerUnavailable(str(error) or type(error).__name__) from error

    async def _retried(self, request: Callable[[], Awaitable[T]]) -> T:
        """Repeat `request` while the broker answers but has no leader or coordinator yet."""
        while True:
            try:
                return await request()
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


def _unconsumed(committed: int | None, begin: int, end: int) -> tuple[int, int]:
    if committed is None or not begin <= committed <= end:
        return begin, end
    return committed, end
