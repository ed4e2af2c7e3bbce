"""custody_feed: what the ledger is written from, read beside the river as the group of custody.

Reads mail.received and dead.letters. Hands batches to `take` and commits once it has returned, so a
batch may be handed over twice and never missed. Broker or store away: begins again every second
where the last commit stands. A record that cannot be read is counted and passed: its own stage
parks it. Offsets that are no longer there when they should be read are counted as skipped: those
mails were in the log and cannot be accounted for.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from mail.errors import Undecodable
from mail.ledger.states import message_id_header
from schemas.content import Inline
from schemas.events.mail import MailReceived
from schemas.ledger import AcceptedMail, DeadLetterState
from streams.codec import decode
from streams.config import Bootstrap
from streams.dead_letters.records import custody_letter
from streams.log_client import close_consumer
from streams.topology import CUSTODY, DEAD_LETTERS, GROUP_PREFIX, TOPICS

log = logging.getLogger(__name__)
WATCHED = tuple(topic.name for topic in TOPICS if CUSTODY in topic.watchers)

Take = Callable[[Sequence[AcceptedMail], Sequence[DeadLetterState]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFeedConfig:
    """Nobody waits for the ledger, so the broker may gather records for it."""

    group: str = GROUP_PREFIX + CUSTODY
    batch_records: int = 1_000
    gather_bytes: int = 256 * 1024
    gather_ms: int = 1_000
    retry_s: float = 1.0
    request_timeout_ms: int = 10_000


@dataclass(slots=True, kw_only=True)
class LedgerFeedStatus:
    """Read by whoever serves /status and /metrics."""

    ready: bool = False
    lag: int = 0
    unreadable: int = 0
    skipped: int = 0
    moved_s: float = field(default_factory=time.monotonic)


class LedgerFeed(ConsumerRebalanceListener):
    """Reads from start to stop."""

    def __init__(
        self, bootstrap: Bootstrap, take: Take, config: LedgerFeedConfig | None = None
    ) -> None:
        self._bootstrap = bootstrap
        self._take = take
        self._config = config or LedgerFeedConfig()
        self._next: dict[TopicPartition, int] = {}  # the offset that must come next
        self._silent = False  # an outage that the log knows of
        self._task: asyncio.Task[None] | None = None
        self.status = LedgerFeedStatus()

    async def start(self) -> None:
        """In the background: the broker need not be there yet."""
        self._task = asyncio.create_task(self._run(), name="custody-feed")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """What comes next is known no longer."""
        del revoked
        self._next.clear()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """A group with one member gets all."""
        del assigned
        self._next.clear()
        self.status.ready = True

    async def _run(self) -> None:
        while True:
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001 - whatever fails, begin again at the commit
                if not self._silent:
                    log.warning("not read, trying again: %r", error)
                self._silent = True
            finally:
                self.status.ready = False
            await asyncio.sleep(self._config.retry_s)

    async def _session(self) -> None:
        """Read until something fails; always ends by raising."""
        config = self._config
        consumer = AIOKafkaConsumer(
            **self._bootstrap.options,
            group_id=config.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=config.request_timeout_ms,
            fetch_min_bytes=config.gather_bytes,
            fetch_max_wait_ms=config.gather_ms,
            max_poll_interval_ms=2**31 - 1,
        )
        consumer.subscribe(WATCHED, listener=self)
        try:
            await consumer.start()
            while True:
                await self._turn(consumer)
        finally:
            await close_consumer(consumer)

    async def _turn(self, consumer: AIOKafkaConsumer) -> None:
        config = self._config
        batch = await consumer.getmany(
            timeout_ms=config.gather_ms, max_records=config.batch_records
        )
        if batch:
            await self._check(consumer, batch)
            await self._take(*self._read(batch))
            beyond = {part: records[-1].offset + 1 for part, records in batch.items()}
            await consumer.commit(beyond)
            self._next |= beyond
        if self._silent:
            log.info("read again")
            self._silent = False
        self.status.moved_s = time.monotonic()
        self.status.lag = sum([await _behind(consumer, part) for part in consumer.assignment()])

    def _read(
        self, batch: Mapping[TopicPartition, Sequence[Any]]
    ) -> tuple[list[AcceptedMail], list[DeadLetterState]]:
        mails: list[AcceptedMail | None] = []
        letters: list[DeadLetterState | None] = []
        for part, records in batch.items():
            if part.topic == DEAD_LETTERS:
                letters += map(custody_letter, records)
            else:
                mails += map(self._accepted, records)
        return [each for each in mails if each], [each for each in letters if each]

    def _accepted(self, record: Any) -> AcceptedMail | None:
        try:
            event = decode(record.topic, record.offset, record.value)
        except Undecodable:
            self.status.unreadable += 1
            return None
        assert isinstance(event, MailReceived)
        content = event.content.data if isinstance(event.content, Inline) else b""
        owners = dict.fromkeys(each.user_id for each in event.envelope.recipients)
        return AcceptedMail(
            mail_id=event.mail_id,
            accepted_at_ms=event.received_at_ms,
            user_ids=tuple(owners),
            message_id_header=message_id_header(content),
        )

    async def _check(
        self, consumer: AIOKafkaConsumer, batch: Mapping[TopicPartition, Sequence[Any]]
    ) -> None:
        """Nothing may be trimmed before it was read here, so a gap is a loss."""
        for part, records in batch.items():
            first = records[0].offset
            due = self._next.get(part)
            if due is None:
                due = await consumer.committed(part)
            if due is not None and first > due:
                self.status.skipped += first - due
                log.error("%s %d: offsets %d to %d are gone", *part, due, first - 1)


async def _behind(consumer: AIOKafkaConsumer, part: TopicPartition) -> int:
    end = consumer.highwater(part)
    return max(0, end - await consumer.position(part)) if end is not None else 0
