"""Administration of dead letters: list, show, redrive, discard. operations/dead_letters.py uses it.

Redrive publishes key and value, unchanged, to the topic of origin. The ids inside are the same, so
every stage recognises what it has handled already. Then a mark without a value is written to the
partition of the dead letter (streams/dead_letters/records.py). A marked dead letter is not redriven
again unless forced.
A process killed between the two writes leaves no mark, and the next redrive publishes the event
once more; that is harmless for the same reason.
A mailbox owner's command is redriven only if its id is named: later commands may have been carried
out since, so an operator must decide whether the command is still wanted.
Every method raises BrokerUnavailable.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

import msgspec
from aiokafka import TopicPartition

from mail.clock import now_ms
from mail.errors import NotFound
from streams import codec
from streams.config import CLOCK_SKEW_MAX_MS
from streams.dead_letters import headers
from streams.dead_letters.parking import RawPublisher
from streams.dead_letters.records import (
    DeadLetterFilter,
    ParkedRecord,
    id_of,
    is_owners_command,
    mark_of,
    marked,
    parked_of,
)
from streams.log_client import LogClient, Spans
from streams.topology import BY_NAME, DEAD_LETTERS

EVERY = DeadLetterFilter()
_ID = re.compile(r"(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,17})", re.ASCII)


class DeadLetterResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for one id.

    redriven | would_redrive | discarded | would_discard | already | by_id_only | unreadable
    | not_found.
    `already`: it was redriven or discarded before. `by_id_only`: a mailbox owner's command, whose
    id must be named. `unreadable`: its headers name no origin, or no topic of work.
    """

    id: str
    outcome: str
    topic: str = ""  # that it was published to, or would be


class DeadLetterAdmin:
    """Dead letters and marks of one topic, read through `log`."""

    def __init__(self, log: LogClient, *, topic: str = DEAD_LETTERS) -> None:
        self._log = log
        self._topic = topic

    async def newest(self, limit: int, conditions: DeadLetterFilter = EVERY) -> list[ParkedRecord]:
        """Return the newest `limit` dead letters, newest first.

        Reads the tail of each partition, twice as far at each step, until every partition has
        yielded `limit` dead letters or is read to its beginning.
        """
        whole = await self._spans(conditions)
        tail_records = 2 * limit  # every dead letter may have a mark
        while True:
            spans = {
                part: (max(first, end - tail_records), end) for part, (first, end) in whole.items()
            }
            letters = await self._letters(spans, conditions)
            if spans == whole or _is_enough(letters, spans, whole, limit):
                return sorted(letters, key=_age_key, reverse=True)[:limit]
            tail_records *= 2

    async def get(self, id_: str) -> ParkedRecord:
        """Return one dead letter. Raises NotFound: no such record, or the record is a mark."""
        part, offset = self._parse_id(id_)
        first, end = (await self._spans()).get(part, (0, 0))
        letters: list[ParkedRecord] = []
        if first <= offset < end:  # to the end: a mark has a higher offset than its dead letter
            letters = await self._letters({part: (offset, end)}, only={id_})
        if not letters:
            raise NotFound(f"no dead letter {id_}")
        return letters[0]

    async def index(self, conditions: DeadLetterFilter = EVERY) -> dict[str, ParkedRecord]:
        """Return every dead letter by id, without values, in order within a partition."""
        spans = await self._spans(conditions)
        letters = await self._letters(spans, conditions, without_values=True)
        return {letter.id: letter for letter in letters}

    async def redrive(
        self,
        ids: Sequence[str] | None,
        *,
        publisher: RawPublisher | None,
        force: bool,
        conditions: DeadLetterFilter = EVERY,
    ) -> list[DeadLetterResult]:
        """Redrive through `publisher`, in order within a partition; None: a dry run.

        `ids` None: every dead letter that waits and that `conditions` matches.
        """
        known = await self.index(conditions if ids is None else EVERY)
        are_named = ids is not None
        if ids is None:
            ids = [id_ for id_, parked in known.items() if force or parked.waits]
        results = []
        async for parked in self._with_values([id_ for id_ in ids if id_ in known], known):
            if not are_named and parked.letter is not None and is_owners_command(parked.letter):
                results.append(
                    DeadLetterResult(id=parked.id, outcome="by_id_only", topic=parked.letter.topic)
                )
            else:
                results.append(await self._redrive(parked, publisher=publisher, force=force))
        return results + [
            DeadLetterResult(id=id_, outcome="not_found") for id_ in ids if id_ not in known
        ]

    async def discard(
        self, ids: Sequence[str], reason: str, publisher: RawPublisher | None
    ) -> list[DeadLetterResult]:
        """Mark dead letters as discarded; the records stay readable in the log. None: a dry run."""
        known = await self.index()
        results = []
        for id_ in ids:
            outcome = "not_found"
            if id_ in known:
                outcome = "would_discard" if publisher is None else "discarded"
                outcome = outcome if known[id_].waits else "already"
            if outcome == "discarded" and publisher is not None:
                mark = headers.discard_headers(id_, now_ms(), reason)
                await self._mark(known[id_], mark, publisher)
            results.append(DeadLetterResult(id=id_, outcome=outcome))
        return results

    async def _redrive(
        self, parked: ParkedRecord, *, publisher: RawPublisher | None, force: bool
    ) -> DeadLetterResult:
        letter = parked.letter
        if letter is None or letter.topic == self._topic or letter.topic not in BY_NAME:
            return DeadLetterResult(id=parked.id, outcome="unreadable")
        if not parked.waits and not force:
            return DeadLetterResult(id=parked.id, outcome="already", topic=letter.topic)
        if publisher is None:
            return DeadLetterResult(id=parked.id, outcome="would_redrive", topic=letter.topic)
        await publisher.publish_raw(letter.topic, letter.key or None, letter.value, [])
        await self._mark(parked, headers.mark_headers(parked.id, now_ms()), publisher)
        return DeadLetterResult(id=parked.id, outcome="redriven", topic=letter.topic)

    async def _mark(
        self, parked: ParkedRecord, mark: codec.Headers, publisher: RawPublisher
    ) -> None:
        key = parked.letter.key if parked.letter else b""
        partition = self._parse_id(parked.id)[0].partition
        await publisher.publish_raw(self._topic, key or None, None, mark, partition=partition)

    async def _spans(self, conditions: DeadLetterFilter = EVERY) -> Spans:
        """Return the whole topic, or its part from shortly before `conditions.since_ms`."""
        parts = await self._log.partitions([self._topic])
        begins = (
            await self._log.since(parts, max(0, conditions.since_ms - CLOCK_SKEW_MAX_MS))
            if conditions.since_ms
            else await self._log.begins(parts)
        )
        ends = await self._log.ends(parts)
        return {part: (begins[part], ends[part]) for part in parts}

    async def _letters(
        self,
        spans: Spans,
        conditions: DeadLetterFilter = EVERY,
        *,
        only: Collection[str] | None = None,
        without_values: bool = False,
    ) -> list[ParkedRecord]:
        letters: dict[str, ParkedRecord] = {}
        async for record in self._log.read(spans):
            mark = mark_of(record)
            if mark is not None and mark.letter_id in letters:
                letters[mark.letter_id] = marked(letters[mark.letter_id], mark)
            elif mark is None and (only is None or id_of(record) in only):
                parked = parked_of(record, without_value=without_values)
                if conditions.matches(parked.letter):
                    letters[parked.id] = parked
        return list(letters.values())

    async def _with_values(
        self, ids: Sequence[str], known: Mapping[str, ParkedRecord]
    ) -> AsyncIterator[ParkedRecord]:
        """Yield the dead letters `ids` with their values, singly: a value may have 2 MiB."""
        offsets: dict[TopicPartition, list[int]] = {}
        for id_ in ids:
            part, offset = self._parse_id(id_)
            offsets.setdefault(part, []).append(offset)
        spans = {part: (min(of_part), max(of_part) + 1) for part, of_part in offsets.items()}
        named = frozenset(ids)
        async for record in self._log.read(spans):
            if (id_ := id_of(record)) in named:
                yield msgspec.structs.replace(known[id_], letter=parked_of(record).letter)

    def _parse_id(self, id_: str) -> tuple[TopicPartition, int]:
        """Return partition and offset of an id. Raises NotFound: malformed."""
        match = _ID.fullmatch(id_)
        if match is None:
            raise NotFound(f"no dead letter {id_}: an id is PARTITION-OFFSET, such as 3-17")
        return TopicPartition(self._topic, int(match[1])), int(match[2])


def _is_enough(letters: Iterable[ParkedRecord], spans: Spans, whole: Spans, limit: int) -> bool:
    """Return whether no dead letter outside `spans` can be among the newest `limit`."""
    counts = Counter(int(letter.id.partition("-")[0]) for letter in letters)
    return all(counts[part.partition] >= limit for part in whole if spans[part][0] > whole[part][0])


def _age_key(parked: ParkedRecord) -> tuple[int, int]:
    """Sort by time; within a partition by offset, where times are equal to the millisecond."""
    at_ms = parked.letter.at_ms if parked.letter else 0
    return at_ms, int(parked.id.partition("-")[2])
