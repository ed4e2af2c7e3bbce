"""Compare the threads of a mailbox, and the thread keys that are bound to them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

import msgspec

from mail.mailbox.consistency_check import is_bound
from schemas.consistency import LISTS, THREADS, ViewDifference
from schemas.cql.mail_store import THREAD, THREAD_KEY
from schemas.ids import ThreadId, UserId
from schemas.mailbox import Message
from stores.cassandra.mail_store.check.findings import CheckFindings, LaterSteps
from stores.cassandra.mail_store.check.lists import ExpectedKey
from stores.cassandra.mail_store.lists import encode
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import RowWrite, put
from stores.cassandra.mail_store.threads import StoredThread, conversation_rows, thread_after
from stores.sorted_rows import SortedRows

PART = 200  # threads, thread keys, or messages of a thread in memory
MemberKey = tuple[ThreadId, int, str]  # created_seq, message id
BindingKey = tuple[bytes, int]  # thread key, created_seq of the message that has it
DoubtKey = tuple[ThreadId, bytes]  # the thread that a key is bound to, and the key
Doubt = tuple[int, ThreadId]  # created_seq of the first message with the key, and its thread


@dataclass(slots=True)
class ThreadCheck:
    """Compares the threads of one mailbox: `bindings` first, then `threads`."""

    reads: MailboxReads
    user_id: UserId
    found: CheckFindings
    later: LaterSteps
    doubts: SortedRows[DoubtKey, Doubt]  # keys that are bound to another thread
    _rest: Iterator[tuple[DoubtKey, Doubt]] = field(default_factory=lambda: iter(()))
    _doubt: tuple[DoubtKey, Doubt] | None = None  # the next one
    _wrong_keys: int = 0

    async def bindings(self, every: Iterable[tuple[BindingKey, ThreadId]]) -> None:
        """Compare each key with the thread of the first message that has it."""
        firsts = (next(rows) for _, rows in groupby(every, key=lambda row: row[0][0]))
        while part := list(islice(firsts, PART)):
            bound = await self.reads.bound(self.user_id, [key for (key, _), _ in part])
            for (key, created_seq), thread_id in part:
                bound_to = bound.get(key)
                if bound_to is None:
                    await self._bind(key, thread_id)
                elif bound_to != thread_id:
                    self.doubts.add((bound_to, key), (created_seq, thread_id))

    async def threads(
        self, members: Iterable[tuple[MemberKey, Message]], rows: SortedRows[ExpectedKey, Any]
    ) -> None:
        """Compare the threads of all messages, and add their expected rows in lists to `rows`."""
        self._rest = iter(self.doubts)
        self._doubt = next(self._rest, None)
        part: dict[ThreadId, StoredThread] = {}
        for thread_id, group in groupby(members, key=lambda row: row[0][0]):
            part[thread_id], destroyed_seq = await self._expected(row for _, row in group)
            await self._settle(thread_id, destroyed_seq)
            if len(part) == PART:
                await self._compare(part, rows)
                part = {}
        await self._compare(part, rows)
        await self._settle(None, None)
        if self._wrong_keys:
            what = f"{self._wrong_keys} message ids have a wrong thread or no thread"
            await self.found.add(LISTS, [ViewDifference(THREADS, what)], [])

    async def _expected(self, messages: Iterator[Message]) -> tuple[StoredThread, int | None]:
        """A thread, and the created_seq of its first destroyed message."""
        newest = self.reads.newest_members(self.user_id)
        thread, destroyed_seq = StoredThread(), None
        while part := list(islice(messages, PART)):
            thread = await thread_after(thread, [(None, row) for row in part], newest)
            if destroyed_seq is None:
                destroyed_seq = next((row.created_seq for row in part if row.destroyed), None)
        return thread, destroyed_seq

    async def _compare(
        self, part: Mapping[ThreadId, StoredThread], rows: SortedRows[ExpectedKey, Any]
    ) -> None:
        stored = await self.reads.threads(self.user_id, part)
        wrong: list[tuple[ThreadId, RowWrite]] = []
        for thread_id, thread in part.items():
            known = stored.get(thread_id, StoredThread())
            if not set(thread.buckets) <= set(known.buckets) or known.lists != thread.lists:
                wrong.append((thread_id, put(THREAD, self.user_id, thread_id, encode(thread))))
            buckets = tuple(sorted({*thread.buckets, *known.buckets})) if thread.lists else ()
            expected = msgspec.structs.replace(thread, buckets=buckets)
            for key, values in conversation_rows(thread_id, expected).items():
                rows.add((key.list, key.bucket, key.position), values)
        unchanged = await self.later.unchanged([thread_id for thread_id, _ in wrong])
        for thread_id, row in wrong:
            if thread_id in unchanged:
                what = f"thread {thread_id}: its row is wrong or missing"
                await self.found.add(LISTS, [ViewDifference(THREADS, what)], [row])

    async def _settle(self, thread_id: ThreadId | None, destroyed_seq: int | None) -> None:
        """Decide about keys that are bound to `thread_id`, or to a thread before it.

        A thread before it has no message. A message that was destroyed may have bound a key first.
        """
        while self._doubt is not None and (thread_id is None or self._doubt[0][0] <= thread_id):
            (bound_to, key), (created_seq, right_id) = self._doubt
            before_seq = destroyed_seq if bound_to == thread_id else None
            if not is_bound(
                bound_to, thread_id=right_id, created_seq=created_seq, destroyed_seq=before_seq
            ):
                await self._bind(key, right_id)
            self._doubt = next(self._rest, None)

    async def _bind(self, key: bytes, thread_id: ThreadId) -> None:
        self._wrong_keys += 1
        row = put(THREAD_KEY, self.user_id, key, thread_id)
        await self.found.repair(LISTS, [row])
