"""Mail finder: the records of one mail in the log.

A mail id contains its time of creation. The finder reads each partition of the work topics and of
dead.letters from shortly before that time to its end, and returns the records that name the mail.
If the ledger knows the mail's place on mail.received, only that record of the topic is read, with
those that custody has not entered yet; and if it is unconsumed, the mail is on no other topic.
Limited by time and by number of records. Reads only.
"""

import asyncio
import logging
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition

from mail.errors import Refused, Undecodable
from mail.ids import time_ms
from schemas.events.unions import Event
from schemas.ids import MailId
from schemas.ledger import LogPlace
from streams.codec import decode
from streams.config import CLOCK_SKEW_MAX_MS, Bootstrap
from streams.dead_letters import headers
from streams.dead_letters.records import mark_of
from streams.log_client import LogClient, Offsets, Spans
from streams.readers.in_flight_search import ReceivedPlaces
from streams.topology import BY_NAME, CUSTODY, DEAD_LETTERS, GROUP_PREFIX, RECEIVED, STAGES

log = logging.getLogger(__name__)

READER = {stage.reads: stage for stage in STAGES}
_TOPIC_ORDER = {name: number for number, name in enumerate(BY_NAME)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFinderConfig:
    """Limits of one search."""

    margin_ms: int = CLOCK_SKEW_MAX_MS  # the search begins so long before the id's time
    limit_s: float = 10.0
    limit_records: int = 1_000_000
    group_prefix: str = GROUP_PREFIX
    topics: tuple[str, ...] = (*READER, DEAD_LETTERS)


class LocatedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that names the mail."""

    topic: str
    partition: int
    offset: int
    at_ms: int  # the record's timestamp, by its writer's clock
    event: Event | None  # None: cannot be decoded
    committed: bool  # consumed by its stage; on dead.letters: redriven or discarded
    stage: str = ""  # that reads the record; on dead.letters: that parked it
    cause: str = ""  # on dead.letters


async def find_in_flight(
    bootstrap: Bootstrap,
    mail_id: MailId,
    config: MailFinderConfig | None = None,
    *,
    places: ReceivedPlaces | None = None,
) -> list[LocatedRecord]:
    """Return the records that name the mail: unconsumed records first, latest topic first.

    An id without a time (a UUID that is not version 7) is searched from the beginning of the log. A
    search that reaches a limit logs a warning and returns the records found so far.
    Raises Refused: `mail_id` is no UUID. Raises BrokerUnavailable.
    """
    config = config or MailFinderConfig()
    since_ms = _since_ms(mail_id, config.margin_ms)
    place = (await places.read([mail_id])).get(mail_id) if places else None
    async with LogClient(bootstrap) as client:
        search = _MailSearch(client, mail_id, config)
        if places is None or place is None or place.epoch != places.epoch:
            return await search.run(since_ms)
        at_place = await search.run_at(place)
        waits = any(not record.committed for record in at_place)
        return at_place if waits else await search.run(since_ms, without=RECEIVED)


def _since_ms(mail_id: MailId, margin_ms: int) -> int:
    try:
        version = uuid.UUID(mail_id).version
    except ValueError:
        raise Refused(f"{mail_id} is not a mail id") from None
    return max(0, time_ms(mail_id) - margin_ms) if version == 7 else 0


class _MailSearch:
    """The state of one search."""

    def __init__(self, client: LogClient, mail_id: MailId, config: MailFinderConfig) -> None:
        self._client = client
        self._needle = mail_id.encode()  # the encoded event contains its ids as plain bytes
        self._config = config
        self._records_read = 0
        self._matches: list[LocatedRecord] = []
        self._handled_letters: set[str] = set()  # ids of redriven or discarded dead letters

    async def run(self, since_ms: int, *, without: str = "") -> list[LocatedRecord]:
        """Return all records found since then, without the topic that was searched before."""
        parts = await self._client.partitions(set(self._config.topics) - {without})
        firsts, ends = await self._client.since(parts, since_ms), await self._client.ends(parts)
        return await self._search({part: (firsts[part], ends[part]) for part in parts})

    async def run_at(self, place: LogPlace) -> list[LocatedRecord]:
        """Return the records on mail.received: at its place, and where the ledger is behind."""
        custody = self._config.group_prefix + CUSTODY
        spans = (await self._client.unconsumed({custody: [RECEIVED]}))[custody]
        part = TopicPartition(RECEIVED, place.partition)
        if part in spans and place.offset < spans[part][0]:
            await self._search({part: (place.offset, place.offset + 1)})
        return await self._search(spans)

    async def _search(self, spans: Spans) -> list[LocatedRecord]:
        try:
            async with asyncio.timeout(self._config.limit_s):
                await self._read(spans)
        except TimeoutError:
            self._warn_of_limit(f"{self._config.limit_s:g} s")
        committed = await self._committed()
        return sorted(
            (self._with_progress(match, committed) for match in self._matches), key=_sort_key
        )

    async def _read(self, spans: Spans) -> None:
        async for record in self._client.read(spans):
            self._records_read += 1
            if self._records_read > self._config.limit_records:
                self._warn_of_limit(f"{self._config.limit_records} records")
                return
            self._match(record)

    def _match(self, record: Any) -> None:
        is_parked = record.topic == DEAD_LETTERS
        mark = mark_of(record) if is_parked else None
        if mark is not None:
            self._handled_letters.add(mark.letter_id)
        elif self._needle in (record.value or b"") or self._needle == record.key:
            self._matches.append(_dead_letter(record) if is_parked else _work_record(record))

    def _warn_of_limit(self, limit: str) -> None:
        log.warning(
            "the search stopped at its limit of %s, after %d records", limit, self._records_read
        )

    async def _committed(self) -> dict[str, Offsets]:
        """Return, by topic with a match, the offsets that the topic's group has committed."""
        topics = {match.topic for match in self._matches} & READER.keys()
        groups = {topic: self._config.group_prefix + READER[topic].role for topic in topics}
        offsets = {group: await self._client.committed(group) for group in set(groups.values())}
        return {topic: offsets[group] for topic, group in groups.items()}

    def _with_progress(self, match: LocatedRecord, committed: dict[str, Offsets]) -> LocatedRecord:
        if match.topic == DEAD_LETTERS:
            is_consumed = f"{match.partition}-{match.offset}" in self._handled_letters
        else:
            part = TopicPartition(match.topic, match.partition)
            is_consumed = committed[match.topic].get(part, -1) > match.offset
        return msgspec.structs.replace(match, committed=is_consumed)


def _work_record(record: Any) -> LocatedRecord:
    return LocatedRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp,
        event=_event(record.topic, record),
        committed=False,
        stage=READER[record.topic].name,
    )


def _dead_letter(record: Any) -> LocatedRecord:
    texts = headers.texts(record.headers)
    return LocatedRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp,
        event=_event(texts.get(headers.ORIGIN_TOPIC, ""), record),
        committed=False,
        stage=texts.get(headers.STAGE, ""),
        cause=texts.get(headers.CAUSE, ""),
    )


def _event(topic: str, record: Any) -> Event | None:
    if topic not in BY_NAME or not BY_NAME[topic].carries:
        return None
    try:
        return decode(topic, record.offset, record.value)
    except Undecodable:
        return None


def _sort_key(match: LocatedRecord) -> tuple[bool, int, int]:
    """Unconsumed records first, then the latest topic, then the newest record."""
    return match.committed, -_TOPIC_ORDER.get(match.topic, 0), -match.at_ms
