"""Index of the mails in the unconsumed records of one topic; each record is read once.

The index has, for each partition, a span of offsets that was read, and in it the offset, mail and
user of every record. 24 bytes for each mail of a record: the hash of the mail id instead of the id.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from aiokafka import TopicPartition

from schemas.ids import MailId
from streams.log_client import LogClient, Spans

# From topic and record: each mail id with its user id, "" if the record does not say.
Names = Callable[[str, Any], Iterable[tuple[str, str]]]


@dataclass(slots=True)
class _Partition:
    """The records from `first` to before `end`, without those that name no mail."""

    first: int
    end: int
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    hashes: "array[int]" = field(default_factory=lambda: array("q"))
    users: list[str] = field(default_factory=list)

    def add(self, offset: int, names: Iterable[tuple[str, str]]) -> None:
        self.end = offset + 1
        for mail_id, user_id in names:
            if mail_id:
                self.offsets.append(offset)
                self.hashes.append(hash(mail_id))
                self.users.append(intern(user_id))

    def drop_before(self, offset: int) -> None:
        count = bisect_left(self.offsets, offset)
        del self.offsets[:count], self.hashes[:count], self.users[:count]
        self.first = max(self.first, offset)


class UnconsumedIndex:
    """The index of `topic` as the consumer group `group` reads it."""

    def __init__(self, topic: str, group: str, names: Names) -> None:
        self.topic = topic
        self.group = group
        self._names = names
        self._partitions: dict[TopicPartition, _Partition] = {}

    async def update(
        self, client: LogClient, *, entered: Mapping[TopicPartition, int] | None = None
    ) -> Spans:
        """Drop what was consumed, read what is new; return the unconsumed offsets.

        `entered`: offsets below which no record has to be read. Raises BrokerUnavailable: what was
        read so far stays.
        """
        spans = (await client.unconsumed({self.group: [self.topic]}))[self.group]
        left: Spans = {}
        for part, (first, end) in spans.items():
            begin = max(first, min((entered or {}).get(part, first), end))
            left[part] = (self._continued(part, begin, end).end, end)
        self._partitions = {part: self._partitions[part] for part in spans}
        async for record in client.read(dict(left)):
            part = TopicPartition(self.topic, record.partition)
            self._partitions[part].add(record.offset, self._names(self.topic, record))
        for part, (_, end) in left.items():
            self._partitions[part].end = end
        return spans

    def _continued(self, part: TopicPartition, begin: int, end: int) -> _Partition:
        """Return the index of a partition from `begin`, without records before `begin`.

        It is empty if the offsets from `begin` are not those that were read: a shorter log is
        another log.
        """
        known = self._partitions.get(part)
        if known is None or not known.first <= begin <= known.end <= end:
            known = self._partitions[part] = _Partition(begin, begin)
        known.drop_before(begin)
        return known

    def users(self, mail_ids: Collection[MailId]) -> dict[MailId, set[str]]:
        """Return those of `mail_ids` that the index has, and the users that their records name."""
        by_hash = defaultdict(list)
        for mail_id in mail_ids:
            by_hash[hash(mail_id)].append(mail_id)
        found: defaultdict[MailId, set[str]] = defaultdict(set)
        for partition in self._partitions.values():
            for number, key in enumerate(partition.hashes):
                for mail_id in by_hash.get(key, ()):
                    found[mail_id].add(partition.users[number])
        return dict(found)
