"""Ledger feed: reads accepted mails and dead letters from the log, as consumer group of custody.

Reads mail.received and dead.letters. Passes each batch to `take` and commits the batch once `take`
has returned. So a batch may be passed twice, and no batch is missed.
Broker or store unreachable: reading begins again every second, at the last commit.
A record that cannot be decoded is counted and skipped: the stage that reads its topic parks it.
Offsets that were deleted before the feed read them are counted as skipped: those mails were in the
log, and the ledger cannot account for them.
"""

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
from schemas.ledger import AcceptedMail, DeadLetterState, LogPlace
from streams.codec import decode
from streams.config import Bootstrap
from streams.dead_letters.records import ledger_state
from streams.log_client import close_consumer
from streams.readers.reconnecting import ReconnectingReader
from streams.topology import CUSTODY, DEAD_LETTERS, GROUP_PREFIX, TOPICS

log = logging.getLogger(__name__)
WATCHED = tuple(topic.name for topic in TOPICS if CUSTODY in topic.watchers)

Take = Callable[[Sequence[AcceptedMail], Sequence[DeadLetterState]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFeedConfig:
    """Large, late fetches: no request waits for the ledger, so the broker may collect records."""

    group: str = GROUP_PREFIX + CUSTODY
    received_epoch: str = ""  # of mail.received; "": places of mails are not recorded
    batch_records: int = 1_000
    gather_bytes: int = 256 * 1024
    gather_ms: int = 1_000
    retry_s: float = 1.0
    request_timeout_ms: int = 10_000


@dataclass(slots=True, kw_only=True)
class LedgerFeedStatus:
    """State of the feed, for /status and /metrics."""

    ready: bool = False
    lag: int = 0  # records
    unreadable: int = 0  # records, since the start
    skipped: int = 0  # records, since the start
    moved_s: float = field(default_factory=time.monotonic)  # the last successful poll


class LedgerFeed(ConsumerRebalanceListener):
    """Reads in the background from `start` to `stop`."""

    def __init__(
        self, bootstrap: Bootstrap, take: Take, config: LedgerFeedConfig | None = None
    ) -> None:
        self._bootstrap = bootstrap
        self._take = take
        self._config = config or LedgerFeedConfig()
        self._expected: dict[TopicPartition, int] = {}  # the next offset to come
        self._reader = ReconnectingReader(
            "ledger feed", self._session, retry_s=self._config.retry_s
        )
        self.status = LedgerFeedStatus()

    async def start(self) -> None:
        """Begin in the background: the broker may start later."""
        self._reader.start()

    async def stop(self) -> None:
        await self._reader.stop()

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Forget the expected offsets: another member may read the partitions meanwhile."""
        del revoked
        self._expected.clear()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Become ready. The group has one member, which gets every partition."""
        del assigned
        self._expected.clear()
        self.status.ready = True

    async def _session(self) -> None:
        """Read until a step fails; always ends by raising."""
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
                await self._read_batch(consumer)
        finally:
            self.status.ready = False
            await close_consumer(consumer)

    async def _read_batch(self, consumer: AIOKafkaConsumer) -> None:
        config = self._config
        batch = await consumer.getmany(
            timeout_ms=config.gather_ms, max_records=config.batch_records
        )
        if batch:
            await self._count_skipped(consumer, batch)
            await self._take(*self._decoded(batch))
            positions = {part: records[-1].offset + 1 for part, records in batch.items()}
            await consumer.commit(positions)
            self._expected |= positions
        self._reader.connected()
        self.status.moved_s = time.monotonic()
        self.status.lag = sum([await _lag(consumer, part) for part in consumer.assignment()])

    def _decoded(
        self, batch: Mapping[TopicPartition, Sequence[Any]]
    ) -> tuple[list[AcceptedMail], list[DeadLetterState]]:
        mails: list[AcceptedMail | None] = []
        letters: list[DeadLetterState | None] = []
        for part, records in batch.items():
            if part.topic == DEAD_LETTERS:
                letters += map(ledger_state, records)
            else:
                mails += map(self._accepted_mail, records)
        return [mail for mail in mails if mail], [letter for letter in letters if letter]

    def _accepted_mail(self, record: Any) -> AcceptedMail | None:
        try:
            event = decode(record.topic, record.offset, record.value)
        except Undecodable:
            self.status.unreadable += 1
            return None
        assert isinstance(event, MailReceived)
        content = event.content.data if isinstance(event.content, Inline) else b""
        owners = dict.fromkeys(recipient.user_id for recipient in event.envelope.recipients)
        return AcceptedMail(
            mail_id=event.mail_id,
            accepted_at_ms=event.received_at_ms,
            user_ids=tuple(owners),
            message_id_header=message_id_header(content),
            place=self._place(record),
        )

    def _place(self, record: Any) -> LogPlace | None:
        epoch = self._config.received_epoch
        if not epoch:
            return None
        return LogPlace(epoch=epoch, partition=record.partition, offset=record.offset)

    async def _count_skipped(
        self, consumer: AIOKafkaConsumer, batch: Mapping[TopicPartition, Sequence[Any]]
    ) -> None:
        """Count the offsets missing before each batch.

        Retention keeps records until the feed has committed them, so a gap is a loss.
        """
        for part, records in batch.items():
            first = records[0].offset
            expected = self._expected.get(part)
            if expected is None:
                expected = await consumer.committed(part)
            if expected is not None and first > expected:
                self.status.skipped += first - expected
                log.error("%s %d: offsets %d to %d are gone", *part, expected, first - 1)


async def _lag(consumer: AIOKafkaConsumer, part: TopicPartition) -> int:
    end = consumer.highwater(part)
    return max(0, end - await consumer.position(part)) if end is not None else 0
