"""in_flight: which mails have a record in the log that its reader has not finished.

Reads each topic from what its reading group has committed to its end, in the order of the river: a
mail that moves on meanwhile has then been written further down, where it is still to be looked for.
dead.letters counts as far as custody has not read it. Reads only; its cost is the backlog's size. A
search that fails is gone on with when it is asked for again: the end of each topic stays that which
it had when the topic was begun, since what came later was seen further up, or is not older.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from mail.errors import BrokerUnavailable
from mail.ports import DeadLetters, InFlightMails
from schemas.ledger import DeadLetterState
from streams.config import Bootstrap
from streams.dead_letters.records import custody_letter, named_in
from streams.log_client import LogClient, Offsets
from streams.topology import CUSTODY, DEAD_LETTERS, GROUP_PREFIX, STAGES, TOPICS

CLOCKS_DIFFER_MS = 60_000
_ROLE = {stage.reads: stage.role for stage in STAGES} | {DEAD_LETTERS: CUSTODY}
_SEARCHED = tuple(topic.name for topic in TOPICS if topic.only_copy)


@dataclass
class _RecordRun:
    """A search under way. What was read of a topic is not read again."""

    wanted: frozenset[str]
    found: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    topics: list[str] = field(default_factory=lambda: list(_SEARCHED))  # the first is under way
    spans: dict[TopicPartition, tuple[int, int]] | None = None  # what is left of it; None: all


class LogInFlightMails(InFlightMails):
    """The InFlightMails port over Kafka. One search at a time."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        *,
        limit_s: float = 600.0,
        group_prefix: str = GROUP_PREFIX,
        client: Callable[[Bootstrap], LogClient] = LogClient,
    ) -> None:
        self._bootstrap = bootstrap
        self._limit_s = limit_s
        self._group_prefix = group_prefix
        self._client = client
        self._run: _RecordRun | None = None

    async def waiting(self, mail_ids: Collection[str]) -> dict[str, frozenset[str]]:
        wanted = frozenset(mail_ids)
        if self._run is None or self._run.wanted != wanted:
            self._run = _RecordRun(wanted)
        run = self._run
        try:
            async with asyncio.timeout(self._limit_s), self._client(self._bootstrap) as client:
                while run.topics:
                    await self._read(client, run)
                    run.topics.pop(0)
                    run.spans = None
        except TimeoutError:
            limit = f"the log was not searched to its end within {self._limit_s:g} s"
            raise BrokerUnavailable(limit) from None
        self._run = None
        return {mail_id: frozenset(users) for mail_id, users in run.found.items()}

    async def _read(self, client: LogClient, run: _RecordRun) -> None:
        """The rest of the topic under way."""
        topic = run.topics[0]
        run.spans = await self._left(client, topic, run.spans)
        async for record in client.read(dict(run.spans)):
            mail_id, user_id = _names(topic, record)
            if mail_id in run.wanted:
                run.found[mail_id].add(user_id)
            part = TopicPartition(topic, record.partition)
            run.spans[part] = (record.offset + 1, run.spans[part][1])

    async def _left(
        self, client: LogClient, topic: str, spans: dict[TopicPartition, tuple[int, int]] | None
    ) -> dict[TopicPartition, tuple[int, int]]:
        """What waits for its reader; of `spans`, what still does. Commits are read before ends."""
        parts = await client.partitions([topic])
        committed = await client.committed(self._group_prefix + _ROLE[topic])
        begins, ends = await client.begins(parts), await client.ends(parts)
        begin = {part: _from(part, committed, begins, ends) for part in parts}
        if spans is None:
            return {part: (begin[part], ends[part]) for part in parts}
        return {
            part: (max(at, begin[part]), min(beyond, ends[part]))
            for part, (at, beyond) in spans.items()
            if part in begin
        }


def _from(part: TopicPartition, committed: Offsets, begins: Offsets, ends: Offsets) -> int:
    """Where the reader goes on; a commit that the log does not know means from its beginning."""
    at = committed.get(part, -1)
    return at if begins[part] <= at <= ends[part] else begins[part]


def _names(topic: str, record: Any) -> tuple[str, str]:
    """On topics of mails the key is the mail id, so the content need not be read."""
    if topic.startswith("mail."):
        return (record.key or b"").decode("utf-8", "replace"), ""
    if topic == DEAD_LETTERS:
        letter = custody_letter(record)
        return (letter.mail_id, letter.user_id) if letter else ("", "")
    return named_in(record.value)[:2]


class LogDeadLetters(DeadLetters):
    """The DeadLetters port over Kafka."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._bootstrap = bootstrap

    async def since(self, at_ms: int) -> list[DeadLetterState]:
        found: dict[str, DeadLetterState] = {}
        async with LogClient(self._bootstrap) as client:
            parts = await client.partitions([DEAD_LETTERS])
            begins = await client.since(parts, max(0, at_ms - CLOCKS_DIFFER_MS))
            ends = await client.ends(parts)
            async for record in client.read({part: (begins[part], ends[part]) for part in parts}):
                _take(found, custody_letter(record))
        return list(found.values())


def _take(found: dict[str, DeadLetterState], letter: DeadLetterState | None) -> None:
    """A mark changes the state of its letter; one whose letter is older is of no mail of ours."""
    if letter is None or (not letter.mail_id and letter.letter_id not in found):
        return
    known = found.get(letter.letter_id, letter)
    found[letter.letter_id] = DeadLetterState(
        letter_id=known.letter_id,
        state=letter.state,
        at_ms=letter.at_ms,
        mail_id=known.mail_id,
        user_id=known.user_id,
        ref=known.ref,
    )
