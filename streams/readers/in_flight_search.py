"""In-flight search: which mails have a record in the log that its reader has not consumed.

Searches the topics in the order in which a mail passes them, each from the offset that its reading
group has committed to the end. A mail that moves on during the search is then on a later topic,
which the search has still to read. Records of dead.letters count until custody has read them.
Reads only. Each record is read once in the life of the search object (unconsumed_index.py); a
search that failed, and the next search, continue there. A mail that is found on a topic of mails is
not searched on the later topics.

mail.received is not read for mails whose place is in the ledger: a place at or after the committed
offset is unconsumed. Only the records that custody has not entered yet are read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from mail.errors import BrokerUnavailable
from mail.ports import DeadLetters, InFlightMails, Settings
from schemas.ids import MailId
from schemas.ledger import EVERYONE, DeadLetterState, LogPlace
from streams.config import CLOCK_SKEW_MAX_MS, Bootstrap
from streams.dead_letters.records import (
    all_ids_in,
    ids_in,
    is_keyed_by_mail,
    ledger_state,
    sent_copy_in,
)
from streams.log_client import LogClient
from streams.readers.unconsumed_index import UnconsumedIndex
from streams.topics.epochs import epoch_of
from streams.topology import (
    CUSTODY,
    DEAD_LETTERS,
    GROUP_PREFIX,
    RECEIVED,
    RELAY,
    STAGES,
    SUBMISSIONS,
    TOPICS,
)

_ROLE = {stage.reads: stage.role for stage in STAGES} | {DEAD_LETTERS: CUSTODY}
_SEARCHED = tuple(topic.name for topic in TOPICS if topic.only_copy)

ReadPlaces = Callable[[Iterable[MailId]], Awaitable[dict[MailId, LogPlace]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPlaces:
    """The ledger's places of mails on mail.received, and the epoch in which they are valid."""

    read: ReadPlaces
    epoch: str


async def received_places(read: ReadPlaces, settings: Settings) -> ReceivedPlaces | None:
    """Return the places in the present epoch of mail.received; None before its first epoch."""
    epoch = await epoch_of(settings, RECEIVED)
    return ReceivedPlaces(read=read, epoch=epoch) if epoch is not None else None


class LogInFlightMails(InFlightMails):
    """The InFlightMails port over Kafka. Concurrent searches take turns."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        *,
        places: ReceivedPlaces | None = None,
        limit_s: float = 600.0,
        group_prefix: str = GROUP_PREFIX,
        client: Callable[[Bootstrap], LogClient] = LogClient,
    ) -> None:
        self._bootstrap = bootstrap
        self._places = places
        self._limit_s = limit_s
        self._group_prefix = group_prefix
        self._client = client
        self._turn = asyncio.Lock()
        self._indexes = {
            topic: UnconsumedIndex(topic, group_prefix + _ROLE[topic], _names)
            for topic in _SEARCHED
        }

    async def waiting(self, mail_ids: Collection[MailId]) -> dict[str, frozenset[str]]:
        users: dict[str, set[str]] = {}
        left = frozenset(mail_ids)
        async with self._turn:
            try:
                async with asyncio.timeout(self._limit_s), self._client(self._bootstrap) as client:
                    for topic in _SEARCHED:
                        for mail_id, found in (await self._on_topic(client, topic, left)).items():
                            users.setdefault(mail_id, set()).update(found)
                        left -= {id_ for id_ in left if EVERYONE in users.get(id_, ())}
                        if not left:
                            break
            except TimeoutError:
                limit = f"the log was not searched to its end within {self._limit_s:g} s"
                raise BrokerUnavailable(limit) from None
        return {mail_id: frozenset(found) for mail_id, found in users.items()}

    async def _on_topic(
        self, client: LogClient, topic: str, mail_ids: frozenset[MailId]
    ) -> dict[MailId, set[str]]:
        index = self._indexes[topic]
        if topic == RECEIVED and self._places is not None:
            return await self._received(client, index, mail_ids, self._places)
        await index.update(client)
        return index.users(mail_ids)

    async def _received(
        self,
        client: LogClient,
        index: UnconsumedIndex,
        mail_ids: frozenset[MailId],
        places: ReceivedPlaces,
    ) -> dict[MailId, set[str]]:
        """Search mail.received by the ledger's places.

        Custody commits a record after the ledger has it. So a mail of which every record has been
        entered is unconsumed at its place or nowhere, unless the ledger does not know the place.
        """
        entered = await client.committed(self._group_prefix + CUSTODY)
        found = await places.read(mail_ids)
        known = {id_: place for id_, place in found.items() if place.epoch == places.epoch}
        is_all = len(known) == len(mail_ids)
        spans = await index.update(client, entered=entered if is_all else None)
        users = index.users(mail_ids)
        for mail_id, place in known.items():
            first, end = spans.get(TopicPartition(RECEIVED, place.partition), (0, 0))
            if first <= place.offset < end:
                users.setdefault(mail_id, set()).add(EVERYONE)
        return users


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
    elif topic == RELAY:
        yield ids_in(record.value)[0], ""  # its user is the sender
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
