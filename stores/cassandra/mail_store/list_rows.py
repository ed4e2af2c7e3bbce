"""All stored list rows of a mailbox, and how they differ from those that are expected."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from schemas.consistency import LISTS, THREADS
from schemas.cql.mail_store import CONVERSATION, LIST_HEAD
from schemas.cql.tables import Table
from schemas.ids import UserId
from stores.cassandra.mail_store.lists import (
    CONVERSATIONS,
    ListHead,
    ListKey,
    encode,
    table_of,
)
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import RowWrite, delete, put
from stores.cassandra.mail_store.threads import decode_in_list

Rows = dict[ListKey, tuple[Any, ...]]
Difference = tuple[str, str, RowWrite]  # part of schemas/consistency.py, what, the repair


@dataclass(frozen=True, slots=True)
class StoredLists:
    user_id: UserId
    heads: dict[str, ListHead]
    rows: Rows

    @classmethod
    async def read(cls, reads: MailboxReads, user_id: UserId, expected: Iterable[ListKey]) -> Self:
        """Read the partitions of every head, and those where rows are expected."""
        heads = await reads.heads(user_id)
        wanted = {(name, bucket) for name, head in heads.items() for bucket in head.buckets}
        wanted |= {(key.list, key.bucket) for key in expected}
        rows: Rows = {}
        for part in await asyncio.gather(
            *(_partition(reads, user_id, name, heads.get(name, ListHead()).era, bucket)
              for name, bucket in sorted(wanted))
        ):  # fmt: skip
            rows |= part
        return cls(user_id, heads, rows)

    def differences(self, expected: Rows) -> Iterator[Difference]:
        """Rows that are wrong, missing, or of no message; heads with wrong counts."""
        for key, values in expected.items():
            if self.rows.get(key) != values:
                row = put(table_of(key.list), *self._key(key), *values)
                yield _part(key), f"{key.list}: row {key.position} is wrong or missing", row
        for key in self.rows.keys() - expected.keys():
            row = delete(table_of(key.list), *self._key(key))
            yield _part(key), f"{key.list}: row {key.position} is of no message", row
        for name, head in self._expected_heads(expected).items():
            if head != self.heads.get(name, ListHead()):
                row = put(LIST_HEAD, self.user_id, name, encode(head))
                yield THREADS, f"the counts of list {name} are wrong", row

    def _expected_heads(self, expected: Rows) -> dict[str, ListHead]:
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        buckets: dict[str, set[int]] = defaultdict(set)
        for key, values in expected.items():
            if not key.list.startswith("t:"):
                one = decode_in_list(values[1]) if key.list.startswith(CONVERSATIONS) else None
                added = (1, one.unread > 0, one.total, one.unread) if one else (1, 0, 0, 0)
                counts[key.list] = [a + b for a, b in zip(counts[key.list], added, strict=True)]
                buckets[key.list].add(key.bucket)
        heads = {}
        for name in {*self.heads, *counts}:
            known = self.heads.get(name, ListHead())
            rows, unread_rows, messages, unread = counts[name]
            heads[name] = msgspec.structs.replace(
                known, rows=rows, unread_rows=unread_rows, messages=messages,
                unread_messages=unread, buckets=tuple(sorted({*known.buckets, *buckets[name]})),
            )  # fmt: skip
        return heads

    def _key(self, key: ListKey) -> tuple[Any, ...]:
        era = self.heads.get(key.list, ListHead()).era
        return (self.user_id, key.list, era, key.bucket, *key.position)


async def _partition(
    reads: MailboxReads, user_id: UserId, name: str, era: int, bucket: int
) -> Rows:
    table: Table = table_of(name)
    width = len(table.clustering)
    query = table.select(", ".join(table.clustering + table.values))
    found = await reads.session.read(query, user_id, name, era, bucket)
    return {
        ListKey(table.name, name, bucket, tuple(row[:width])): tuple(row[width:]) for row in found
    }


def _part(key: ListKey) -> str:
    is_of_thread = key.table == CONVERSATION.name or key.list.startswith("t:")
    return THREADS if is_of_thread else LISTS
