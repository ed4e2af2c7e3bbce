"""Dead letters for operators: list, show, send back (redrive).

A letter's id is "partition-offset" on dead.letters. Sending back writes key and value, unchanged,
to the origin topic, so the ids inside are the same and every stage recognises what it has done.
Then a mark without value goes to the letter's own partition: `redriven-of: ID`. A letter with a
mark is not sent again unless forced. Killed between the two: the next redrive sends it once more,
which is harmless for the same reason. Every function: BrokerUnavailable.
"""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import TopicPartition

from mail.errors import NotFound
from schemas.records import DeadLetter
from streams import dead_letter_headers as headers
from streams.config import PublisherConfig
from streams.dead_letters import RawPublisher
from streams.log_client import LogClient
from streams.publisher import KafkaPublisher
from streams.topology import BY_NAME, DEAD_LETTERS

LIST_MAX = 500
_ID = re.compile(r"(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,17})", re.ASCII)

Spans = Mapping[TopicPartition, tuple[int, int]]


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A letter on dead.letters."""

    id: str
    letter: DeadLetter | None  # None: its headers do not say where it came from
    redriven_at_ms: int | None = None  # the last time


class Redriven(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one id: redriven | would_redrive | already | unreadable | not_found."""

    id: str
    outcome: str
    topic: str = ""  # where it went, or would go


async def list_dead(bootstrap: str, limit: int, *, topic: str = DEAD_LETTERS) -> list[Parked]:
    """The newest letters, newest first, sent back or not; at most LIST_MAX."""
    async with LogClient(bootstrap) as log:
        return await DeadLetterBox(log, topic=topic).newest(min(limit, LIST_MAX))


async def show(bootstrap: str, id_: str, *, topic: str = DEAD_LETTERS) -> Parked:
    """One letter. NotFound."""
    async with LogClient(bootstrap) as log:
        return await DeadLetterBox(log, topic=topic).one(id_)


async def redrive(
    bootstrap: str,
    ids: Sequence[str] | None,
    *,
    dry_run: bool = False,
    force: bool = False,
    topic: str = DEAD_LETTERS,
) -> list[Redriven]:
    """Send letters back, in order within a partition; `ids` None: all that were not sent yet.

    Stops at the first failure. What went before is marked, so repeat the same call.
    """
    async with LogClient(bootstrap) as log:
        if dry_run:
            return await DeadLetterBox(log, topic=topic).redrive(ids, river=None, force=force)
        river = KafkaPublisher(PublisherConfig(bootstrap=bootstrap, linger_ms=0))
        try:
            await river.start()
            return await DeadLetterBox(log, topic=topic).redrive(ids, river=river, force=force)
        finally:
            await river.stop()


class DeadLetterBox:
    """Letters and marks of one topic, read through `log`."""

    def __init__(self, log: LogClient, *, topic: str = DEAD_LETTERS) -> None:
        self._log = log
        self._topic = topic

    async def newest(self, limit: int) -> list[Parked]:
        """Reads backwards, further each time, until every partition gave `limit` letters."""
        whole = await self._whole()
        back = 2 * limit  # every letter may have a mark
        while True:
            spans = {part: (max(first, end - back), end) for part, (first, end) in whole.items()}
            found = await self._letters(spans)
            if spans == whole or _enough(found, spans, whole, limit):
                return sorted(found, key=_at_ms, reverse=True)[:limit]
            back *= 2

    async def one(self, id_: str) -> Parked:
        """NotFound: never there, no longer there, or a mark."""
        part, offset = self._place(id_)
        first, end = (await self._whole()).get(part, (0, 0))
        found = []
        if first <= offset < end:  # marks stand behind their letter
            found = await self._letters({part: (offset, end)}, only={id_})
        if not found:
            raise NotFound(f"no dead letter {id_}")
        return found[0]

    async def redrive(
        self, ids: Sequence[str] | None, *, river: RawPublisher | None, force: bool
    ) -> list[Redriven]:
        """Send back through `river`; without one, say what would be done."""
        marks = await self._index()
        if ids is None:
            ids = [id_ for id_, mark in marks.items() if force or mark is None]
        done = [
            await self._send_back(parked, river=river, force=force)
            async for parked in self._each([id_ for id_ in ids if id_ in marks], marks)
        ]
        return done + [Redriven(id=id_, outcome="not_found") for id_ in ids if id_ not in marks]

    async def _send_back(
        self, parked: Parked, *, river: RawPublisher | None, force: bool
    ) -> Redriven:
        letter = parked.letter
        if letter is None or letter.topic == self._topic or letter.topic not in BY_NAME:
            return Redriven(id=parked.id, outcome="unreadable")
        if parked.redriven_at_ms is not None and not force:
            return Redriven(id=parked.id, outcome="already", topic=letter.topic)
        if river is None:
            return Redriven(id=parked.id, outcome="would_redrive", topic=letter.topic)
        await river.publish_raw(letter.topic, letter.key or None, letter.value, [])
        mark = headers.mark_headers(parked.id, time.time_ns() // 1_000_000)
        partition = self._place(parked.id)[0].partition
        await river.publish_raw(self._topic, letter.key or None, None, mark, partition=partition)
        return Redriven(id=parked.id, outcome="redriven", topic=letter.topic)

    async def _whole(self) -> dict[TopicPartition, tuple[int, int]]:
        parts = await self._log.partitions([self._topic])
        begins, ends = await self._log.begins(parts), await self._log.ends(parts)
        return {part: (begins[part], ends[part]) for part in parts}

    async def _index(self) -> dict[str, int | None]:
        """Every letter's id, in order within a partition, and when it was last sent back."""
        found: dict[str, int | None] = {}
        async for record in self._log.read(await self._whole()):
            marked, at_ms = mark_of(record)
            if marked is None:
                found[id_of(record)] = None
            elif marked in found:
                found[marked] = at_ms
        return found

    async def _letters(self, spans: Spans, *, only: Collection[str] | None = None) -> list[Parked]:
        found: dict[str, Parked] = {}
        async for record in self._log.read(spans):
            marked, at_ms = mark_of(record)
            if marked in found:
                found[marked] = msgspec.structs.replace(found[marked], redriven_at_ms=at_ms)
            elif marked is None and (only is None or id_of(record) in only):
                found[id_of(record)] = _parked(record, None)
        return list(found.values())

    async def _each(
        self, ids: Sequence[str], marks: Mapping[str, int | None]
    ) -> AsyncIterator[Parked]:
        """The letters of known `ids`, one at a time: a letter may hold 2 MiB."""
        offsets: dict[TopicPartition, list[int]] = {}
        for id_ in ids:
            part, offset = self._place(id_)
            offsets.setdefault(part, []).append(offset)
        spans = {part: (min(some), max(some) + 1) for part, some in offsets.items()}
        wanted = frozenset(ids)
        async for record in self._log.read(spans):
            if (id_ := id_of(record)) in wanted:
                yield _parked(record, marks[id_])

    def _place(self, id_: str) -> tuple[TopicPartition, int]:
        """NotFound: no id of this form was ever given."""
        match = _ID.fullmatch(id_)
        if match is None:
            raise NotFound(f"no dead letter {id_}: an id is PARTITION-OFFSET, such as 3-17")
        return TopicPartition(self._topic, int(match[1])), int(match[2])


def id_of(record: Any) -> str:
    """The id of the letter that a record of dead.letters is."""
    return f"{record.partition}-{record.offset}"


def mark_of(record: Any) -> tuple[str | None, int]:
    """The id that a mark names and its time; (None, 0) for a letter."""
    if not any(name == headers.REDRIVEN_OF for name, _ in record.headers):
        return None, 0
    told = headers.texts(record.headers)
    at_ms = told.get(headers.AT_MS, "")
    return told[headers.REDRIVEN_OF], int(at_ms) if at_ms.isdecimal() else record.timestamp


def _parked(record: Any, redriven_at_ms: int | None) -> Parked:
    letter = headers.letter(headers.texts(record.headers), record.key, record.value)
    return Parked(id=id_of(record), letter=letter, redriven_at_ms=redriven_at_ms)


def _enough(found: Iterable[Parked], spans: Spans, whole: Spans, limit: int) -> bool:
    """Whether no letter outside `spans` can be among the newest `limit`."""
    counts = Counter(int(parked.id.partition("-")[0]) for parked in found)
    return all(counts[part.partition] >= limit for part in whole if spans[part][0] > whole[part][0])


def _at_ms(parked: Parked) -> tuple[int, int]:
    """Newest last; within a partition by offset when clocks agree to the millisecond."""
    at_ms = parked.letter.at_ms if parked.letter else 0
    return at_ms, int(parked.id.partition("-")[2])
