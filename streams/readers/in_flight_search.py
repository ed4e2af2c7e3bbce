"""In-flight search: which mails have a record in the log that its reader has not consumed.

Searches the topics in the order in which a mail passes them, each from the offset that its reading
group has committed to the end. A mail that moves on during the search is then on a later topic,
which the search has still to read. Records of dead.letters count until custody has read them.
Reads only; the cost grows with the backlog.
A failed search continues when the same mails are searched again. The end offset of a topic stays
what it was when the search began that topic: later records belong to mails that the search saw on
an earlier topic, or to mails that are newer than the search.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from mail.errors import BrokerUnavailable
from mail.ports import DeadLetters, InFlightMails
from schemas.ids import MailId
from schemas.ledger import DeadLetterState
from streams.config import CLOCK_SKEW_MAX_MS, Bootstrap
from streams.dead_letters.records import (
    all_ids_in,
    ids_in,
    is_keyed_by_mail,
    ledger_state,
    sent_copy_in,
)
from streams.log_client import LogClient, Spans
from streams.topology import CUSTODY, DEAD_LETTERS, GROUP_PREFIX, STAGES, SUBMISSIONS, TOPICS

_ROLE = {stage.reads: stage.role for stage in STAGES} | {DEAD_LETTERS: CUSTODY}
_SEARCHED = tuple(topic.name for topic in TOPICS if topic.only_copy)


@dataclass
class _Search:
    """The state of one search; a record that was read is not read again."""

    mail_ids: frozenset[MailId]
    users: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by mail
    topics: list[str] = field(default_factory=lambda: list(_SEARCHED))  # the first one is current
    spans: Spans | None = None  # what is left of the current topic; None: not begun


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
        self._search: _Search | None = None

    async def waiting(self, mail_ids: Collection[MailId]) -> dict[str, frozenset[str]]:
        ids = frozenset(mail_ids)
        if self._search is None or self._search.mail_ids != ids:
            self._search = _Search(ids)
        search = self._search
        try:
            async with asyncio.timeout(self._limit_s), self._client(self._bootstrap) as client:
                while search.topics:
                    await self._read_topic(client, search)
                    search.topics.pop(0)
                    search.spans = None
        except TimeoutError:
            limit = f"the log was not searched to its end within {self._limit_s:g} s"
            raise BrokerUnavailable(limit) from None
        self._search = None
        return {mail_id: frozenset(users) for mail_id, users in search.users.items()}

    async def _read_topic(self, client: LogClient, search: _Search) -> None:
        """Read what is left of the current topic."""
        topic = search.topics[0]
        search.spans = await self._spans_left(client, topic, search.spans)
        async for record in client.read(dict(search.spans)):
            for mail_id, user_id in _names(topic, record):
                if mail_id in search.mail_ids:
                    search.users[mail_id].add(user_id)
            part = TopicPartition(topic, record.partition)
            search.spans[part] = (record.offset + 1, search.spans[part][1])

    async def _spans_left(self, client: LogClient, topic: str, spans: Spans | None) -> Spans:
        """Return the unconsumed records of `topic`, limited to `spans` if given."""
        group = self._group_prefix + _ROLE[topic]
        unconsumed = (await client.unconsumed({group: [topic]}))[group]
        if spans is None:
            return unconsumed
        return {
            part: (max(first, unconsumed[part][0]), min(end, unconsumed[part][1]))
            for part, (first, end) in spans.items()
            if part in unconsumed
        }


def _names(topic: str, record: Any) -> Iterator[tuple[str, str]]:
    """The mail ids of a record with their user id; "" where the record does not say.

    Where the key is the mail id, the value is not decoded. A submission waits for every recipient.
    """
    if is_keyed_by_mail(topic):
        yield (record.key or b"").decode("utf-8", "replace"), ""
    elif topic == DEAD_LETTERS:
        letter = ledger_state(record)
        yield (letter.mail_id, letter.user_id) if letter else ("", "")
    elif topic == SUBMISSIONS:
        yield ids_in(record.value)[0], ""
        yield sent_copy_in(record.value), ""
    else:
        yield from (ids[:2] for ids in all_ids_in(record.value))


class LogDeadLetters(DeadLetters):
    """The DeadLetters port over Kafka."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._bootstrap = bootstrap

    async def since(self, at_ms: int) -> list[DeadLetterState]:
        states: dict[str, DeadLetterState] = {}
        async with LogClient(self._bootstrap) as client:
            parts = await client.partitions([DEAD_LETTERS])
            firsts = await client.since(parts, max(0, at_ms - CLOCK_SKEW_MAX_MS))
            ends = await client.ends(parts)
            async for record in client.read({part: (firsts[part], ends[part]) for part in parts}):
                _apply(states, ledger_state(record))
        return list(states.values())


def _apply(states: dict[str, DeadLetterState], change: DeadLetterState | None) -> None:
    """Add a dead letter to `states`, or set the state that a mark gives to its dead letter.

    A mark whose dead letter is not in `states` is ignored: the dead letter is older than the
    search, or concerns no mail.
    """
    if change is None or (not change.mail_id and change.letter_id not in states):
        return
    known = states.get(change.letter_id, change)
    states[change.letter_id] = DeadLetterState(
        letter_id=known.letter_id,
        state=change.state,
        at_ms=change.at_ms,
        mail_id=known.mail_id,
        user_id=known.user_id,
        ref=known.ref,
    )
