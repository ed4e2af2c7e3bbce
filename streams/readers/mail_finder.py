"""seek: where a mail is on its way, by the time that its id tells.

Each partition of the work topics and of dead.letters is read from shortly before that time to its
end; a record counts when it names the mail. Bounded by time and by number of records. Reads only.
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
from streams.codec import decode
from streams.config import Bootstrap
from streams.dead_letters import headers
from streams.dead_letters.records import mark_of
from streams.log_client import LogClient, Offsets
from streams.topology import BY_NAME, DEAD_LETTERS, GROUP_PREFIX, STAGES

log = logging.getLogger(__name__)

READER = {stage.reads: stage for stage in STAGES}
_RIVER_ORDER = {name: place for place, name in enumerate(BY_NAME)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFinderConfig:
    """How far a search goes."""

    margin_ms: int = 60_000  # clocks of ingress and broker differ
    limit_s: float = 10.0
    limit_records: int = 1_000_000
    group_prefix: str = GROUP_PREFIX
    topics: tuple[str, ...] = (*READER, DEAD_LETTERS)


class LocatedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that names the mail."""

    topic: str
    partition: int
    offset: int
    at_ms: int  # the record's time, by its writer's clock
    event: Event | None  # None: cannot be decoded
    committed: bool  # its reader is past it; on dead.letters: sent back or discarded
    stage: str = ""  # who reads it; on dead.letters: who parked it
    cause: str = ""  # on dead.letters


async def find_in_flight(
    bootstrap: Bootstrap, mail_id: str, config: MailFinderConfig | None = None
) -> list[LocatedRecord]:
    """Where the mail stands: first what waits, furthest down the river first, then what is past.

    An id that tells no time (no UUIDv7) is looked for from the beginning. A search that met a
    limit says so in the log; what it found until then is returned.
    Refused: no UUID at all. BrokerUnavailable.
    """
    config = config or MailFinderConfig()
    since_ms = _since_ms(mail_id, config.margin_ms)
    async with LogClient(bootstrap) as client:
        return await _Search(client, mail_id, config).run(since_ms)


def _since_ms(mail_id: str, margin_ms: int) -> int:
    try:
        version = uuid.UUID(mail_id).version
    except ValueError:
        raise Refused(f"{mail_id} is not a mail id") from None
    return max(0, time_ms(mail_id) - margin_ms) if version == 7 else 0


class _Search:
    """One search: what was found so far, and which letters somebody has seen to."""

    def __init__(self, client: LogClient, mail_id: str, config: MailFinderConfig) -> None:
        self._client = client
        self._needle = mail_id.encode()  # ids stand in the bytes of an event as they are
        self._config = config
        self._seen = 0
        self._found: list[LocatedRecord] = []
        self._done_with: set[str] = set()  # ids of dead letters

    async def run(self, since_ms: int) -> list[LocatedRecord]:
        parts = await self._client.partitions(self._config.topics)
        firsts, ends = await self._client.since(parts, since_ms), await self._client.ends(parts)
        try:
            async with asyncio.timeout(self._config.limit_s):
                await self._read({part: (firsts[part], ends[part]) for part in parts})
        except TimeoutError:
            self._unfinished(f"{self._config.limit_s:g} s")
        committed = await self._committed()
        return sorted((self._judged(found, committed) for found in self._found), key=_use)

    async def _read(self, spans: dict[TopicPartition, tuple[int, int]]) -> None:
        async for record in self._client.read(spans):
            self._seen += 1
            if self._seen > self._config.limit_records:
                self._unfinished(f"{self._config.limit_records} records")
                return
            self._take(record)

    def _take(self, record: Any) -> None:
        parked = record.topic == DEAD_LETTERS
        mark = mark_of(record) if parked else None
        if mark is not None:
            self._done_with.add(mark.letter_id)
        elif self._needle in (record.value or b"") or self._needle == record.key:
            self._found.append(_parked(record) if parked else _waiting(record))

    def _unfinished(self, limit: str) -> None:
        log.warning("the search stopped at its limit of %s, after %d records", limit, self._seen)

    async def _committed(self) -> dict[str, Offsets]:
        """What the groups that read the topics with a hit have committed, by topic."""
        topics = {found.topic for found in self._found} & READER.keys()
        groups = {topic: self._config.group_prefix + READER[topic].role for topic in topics}
        offsets = {group: await self._client.committed(group) for group in set(groups.values())}
        return {topic: offsets[group] for topic, group in groups.items()}

    def _judged(self, found: LocatedRecord, committed: dict[str, Offsets]) -> LocatedRecord:
        if found.topic == DEAD_LETTERS:
            past = f"{found.partition}-{found.offset}" in self._done_with
        else:
            part = TopicPartition(found.topic, found.partition)
            past = committed[found.topic].get(part, -1) > found.offset
        return msgspec.structs.replace(found, committed=past)


def _waiting(record: Any) -> LocatedRecord:
    return LocatedRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp,
        event=_event(record.topic, record),
        committed=False,
        stage=READER[record.topic].name,
    )


def _parked(record: Any) -> LocatedRecord:
    told = headers.texts(record.headers)
    return LocatedRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp,
        event=_event(told.get(headers.ORIGIN_TOPIC, ""), record),
        committed=False,
        stage=told.get(headers.STAGE, ""),
        cause=told.get(headers.CAUSE, ""),
    )


def _event(topic: str, record: Any) -> Event | None:
    if topic not in BY_NAME or not BY_NAME[topic].carries:
        return None
    try:
        return decode(topic, record.offset, record.value)
    except Undecodable:
        return None


def _use(found: LocatedRecord) -> tuple[bool, int, int]:
    """What waits before what is past; then the furthest down the river; then the newest."""
    return found.committed, -_RIVER_ORDER.get(found.topic, 0), -found.at_ms
