"""Dead letters for operators: list, count by cause, show, send back (redrive), throw away.

Sending back writes key and value, unchanged, to the origin topic, so the ids inside are the same
and every stage recognises what it has done. Then a mark without value goes to the letter's own
partition (streams/dead_letters/records.py). A letter with a mark is not sent again unless forced.
Killed between the two: the next redrive sends it once more, which is harmless for the same reason.
An owner's command is sent back by its id alone: what followed it may have been carried out, so an
operator must decide whether it is still wanted. Every method: BrokerUnavailable. The operator's
functions are in operations/dead_letters.py.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

import msgspec
from aiokafka import TopicPartition

from mail.clock import now_ms
from mail.errors import NotFound
from streams import codec
from streams.dead_letters import headers
from streams.dead_letters.parking import RawPublisher
from streams.dead_letters.records import (
    DeadLetterFilter,
    ParkedRecord,
    id_of,
    is_owners,
    mark_of,
    marked,
    parked_of,
)
from streams.log_client import LogClient
from streams.topology import BY_NAME, DEAD_LETTERS

CLOCKS_DIFFER_MS = 60_000
EVERY = DeadLetterFilter()
_ID = re.compile(r"(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,17})", re.ASCII)

Spans = Mapping[TopicPartition, tuple[int, int]]


class DeadLetterResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one id.

    redriven | would_redrive | discarded | already | by_id_only | unreadable | not_found.
    `already`: it was sent back or thrown away before. `by_id_only`: an owner's command that waits.
    """

    id: str
    outcome: str
    topic: str = ""  # where it went, or would go


class DeadLetterAdmin:
    """Letters and marks of one topic, read through `log`."""

    def __init__(self, log: LogClient, *, topic: str = DEAD_LETTERS) -> None:
        self._log = log
        self._topic = topic

    async def newest(self, limit: int, wanted: DeadLetterFilter = EVERY) -> list[ParkedRecord]:
        """Reads backwards, further each time, until every partition gave `limit` letters."""
        whole = await self._whole(wanted)
        back = 2 * limit  # every letter may have a mark
        while True:
            spans = {part: (max(first, end - back), end) for part, (first, end) in whole.items()}
            found = await self._letters(spans, wanted)
            if spans == whole or _enough(found, spans, whole, limit):
                return sorted(found, key=_at_ms, reverse=True)[:limit]
            back *= 2

    async def one(self, id_: str) -> ParkedRecord:
        """NotFound: never there, no longer there, or a mark."""
        part, offset = self._place(id_)
        first, end = (await self._whole()).get(part, (0, 0))
        found: list[ParkedRecord] = []
        if first <= offset < end:  # marks stand behind their letter
            found = await self._letters({part: (offset, end)}, only={id_})
        if not found:
            raise NotFound(f"no dead letter {id_}")
        return found[0]

    async def index(self, wanted: DeadLetterFilter = EVERY) -> dict[str, ParkedRecord]:
        """Every letter by id, in order within a partition, without values."""
        spans = await self._whole(wanted)
        return {one.id: one for one in await self._letters(spans, wanted, emptied=True)}

    async def redrive(
        self,
        ids: Sequence[str] | None,
        *,
        river: RawPublisher | None,
        force: bool,
        wanted: DeadLetterFilter = EVERY,
    ) -> list[DeadLetterResult]:
        """Send back through `river`; without one, say what would be done."""
        known = await self.index(wanted if ids is None else EVERY)
        are_named = ids is not None
        if ids is None:
            ids = [id_ for id_, parked in known.items() if force or parked.waits]
        done = []
        async for parked in self._each([id_ for id_ in ids if id_ in known], known):
            if not are_named and parked.letter is not None and is_owners(parked.letter):
                done.append(
                    DeadLetterResult(id=parked.id, outcome="by_id_only", topic=parked.letter.topic)
                )
            else:
                done.append(await self._send_back(parked, river=river, force=force))
        return done + [
            DeadLetterResult(id=id_, outcome="not_found") for id_ in ids if id_ not in known
        ]

    async def discard(
        self, ids: Sequence[str], reason: str, river: RawPublisher
    ) -> list[DeadLetterResult]:
        known = await self.index()
        done = []
        for id_ in ids:
            outcome = "not_found"
            if id_ in known:
                outcome = "discarded" if known[id_].waits else "already"
            if outcome == "discarded":
                await self._mark(known[id_], headers.discard_headers(id_, now_ms(), reason), river)
            done.append(DeadLetterResult(id=id_, outcome=outcome))
        return done

    async def _send_back(
        self, parked: ParkedRecord, *, river: RawPublisher | None, force: bool
    ) -> DeadLetterResult:
        letter = parked.letter
        if letter is None or letter.topic == self._topic or letter.topic not in BY_NAME:
            return DeadLetterResult(id=parked.id, outcome="unreadable")
        if not parked.waits and not force:
            return DeadLetterResult(id=parked.id, outcome="already", topic=letter.topic)
        if river is None:
            return DeadLetterResult(id=parked.id, outcome="would_redrive", topic=letter.topic)
        await river.publish_raw(letter.topic, letter.key or None, letter.value, [])
        await self._mark(parked, headers.mark_headers(parked.id, now_ms()), river)
        return DeadLetterResult(id=parked.id, outcome="redriven", topic=letter.topic)

    async def _mark(self, parked: ParkedRecord, mark: codec.Headers, river: RawPublisher) -> None:
        key = parked.letter.key if parked.letter else b""
        partition = self._place(parked.id)[0].partition
        await river.publish_raw(self._topic, key or None, None, mark, partition=partition)

    async def _whole(
        self, wanted: DeadLetterFilter = EVERY
    ) -> dict[TopicPartition, tuple[int, int]]:
        parts = await self._log.partitions([self._topic])
        begins = (
            await self._log.since(parts, max(0, wanted.since_ms - CLOCKS_DIFFER_MS))
            if wanted.since_ms
            else await self._log.begins(parts)
        )
        ends = await self._log.ends(parts)
        return {part: (begins[part], ends[part]) for part in parts}

    async def _letters(
        self,
        spans: Spans,
        wanted: DeadLetterFilter = EVERY,
        *,
        only: Collection[str] | None = None,
        emptied: bool = False,
    ) -> list[ParkedRecord]:
        found: dict[str, ParkedRecord] = {}
        async for record in self._log.read(spans):
            mark = mark_of(record)
            if mark is not None and mark.letter_id in found:
                found[mark.letter_id] = marked(found[mark.letter_id], mark)
            elif mark is None and (only is None or id_of(record) in only):
                parked = parked_of(record, emptied=emptied)
                if wanted.fits(parked.letter):
                    found[parked.id] = parked
        return list(found.values())

    async def _each(
        self, ids: Sequence[str], known: Mapping[str, ParkedRecord]
    ) -> AsyncIterator[ParkedRecord]:
        """The letters of known `ids` with their values, one at a time: one may hold 2 MiB."""
        offsets: dict[TopicPartition, list[int]] = {}
        for id_ in ids:
            part, offset = self._place(id_)
            offsets.setdefault(part, []).append(offset)
        spans = {part: (min(some), max(some) + 1) for part, some in offsets.items()}
        wanted = frozenset(ids)
        async for record in self._log.read(spans):
            if (id_ := id_of(record)) in wanted:
                yield msgspec.structs.replace(known[id_], letter=parked_of(record).letter)

    def _place(self, id_: str) -> tuple[TopicPartition, int]:
        """NotFound: no id of this form was ever given."""
        match = _ID.fullmatch(id_)
        if match is None:
            raise NotFound(f"no dead letter {id_}: an id is PARTITION-OFFSET, such as 3-17")
        return TopicPartition(self._topic, int(match[1])), int(match[2])


def _enough(found: Iterable[ParkedRecord], spans: Spans, whole: Spans, limit: int) -> bool:
    """Whether no letter outside `spans` can be among the newest `limit`."""
    counts = Counter(int(parked.id.partition("-")[0]) for parked in found)
    return all(counts[part.partition] >= limit for part in whole if spans[part][0] > whole[part][0])


def _at_ms(parked: ParkedRecord) -> tuple[int, int]:
    """Newest last; within a partition by offset when clocks agree to the millisecond."""
    at_ms = parked.letter.at_ms if parked.letter else 0
    return at_ms, int(parked.id.partition("-")[2])
