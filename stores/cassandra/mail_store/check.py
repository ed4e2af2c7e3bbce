"""Compare a whole mailbox with its journal, and compute the rows that repair it.

Compared are the state, settings, correspondents, message rows, thread bindings, commands, and all
lists with their heads. The mailbox is in memory during a check: 3 KB a message.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mail.mailbox import consistency_check as rules
from mail.mailbox import correspondents as correspondent_rules
from mail.mailbox.threads import thread_keys
from mail.pagination import PAGE_MAX
from schemas.consistency import COUNTS, LISTS, THREADS, ExpectedMessage, ViewDifference
from schemas.correspondents import Correspondent
from schemas.cql.mail_store import (
    COMMAND,
    CORRESPONDENT,
    ID_BUCKETS,
    MAILBOX,
    MESSAGE,
    MESSAGE_ID,
    SETTINGS,
    THREAD,
    THREAD_KEY,
)
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import DomainId, MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import MailboxState, Message
from schemas.snapshot import MessageRecord
from stores.cassandra.mail_store.commit_plan import message_rows, usage_row
from stores.cassandra.mail_store.history import History
from stores.cassandra.mail_store.list_rows import StoredLists
from stores.cassandra.mail_store.lists import encode, rows_of
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import RowWrite, delete, put
from stores.cassandra.mail_store.threads import StoredThread, conversation_rows, thread_after

_IDS = MESSAGE_ID.select("message_id")


@dataclass(slots=True)
class CheckedMailbox:
    """What a check found, by part of the mailbox, with the rows that repair it."""

    messages: tuple[ExpectedMessage, ...] = ()
    without_row: tuple[ExpectedMessage, ...] = ()
    lacking: tuple[ExpectedMessage, ...] = ()
    differences: dict[str, list[ViewDifference]] = field(
        default_factory=lambda: defaultdict(list)
    )  # by COUNTS, LISTS
    repairs: dict[str, list[RowWrite]] = field(default_factory=lambda: defaultdict(list))

    def add(
        self, part: str, differences: Iterable[ViewDifference], repairs: Iterable[RowWrite]
    ) -> None:
        found = list(differences)
        self.differences[part] += found
        if found:
            self.repairs[part] += repairs


class MailboxCheck:
    """One check of one mailbox, at the stored state."""

    def __init__(
        self, reads: MailboxReads, user_id: UserId, heads: Mapping[MessageId, HeaderSummary]
    ) -> None:
        self._reads = reads
        self._history = History(reads)
        self._user_id = user_id
        self._heads = heads
        self._found = CheckedMailbox()

    async def run(
        self, domain_id: DomainId, state: MailboxState, generation: int
    ) -> CheckedMailbox:
        """Raises JournalDamaged."""
        found, user_id = self._found, self._user_id
        snapshot = await self._reads.snapshot(user_id)
        entries = await self._history.entries(user_id, snapshot.seq, state.seq, state.seq)
        replay = rules.replay(snapshot, await self._records(), entries)
        if replay.state.seq != state.seq:
            end = f"it ends at seq {replay.state.seq}, the mailbox is at {state.seq}"
            raise rules.JournalDamaged(end)
        stored = await self._reads.rows(user_id, {*replay.records, *await self._ids()})
        keys = {key for row in stored.values() for key in thread_keys(row.head)}
        keys |= {key for head in self._heads.values() for key in thread_keys(head)}
        bound = await self._reads.bound(user_id, keys)
        views = rules.expected_views(
            replay, stored, bound, self._heads, user_id=user_id, domain_id=domain_id
        )
        found.messages = tuple(map(rules.expected_message, replay.records.values()))
        found.without_row = tuple(views.lost)
        found.lacking = tuple(views.lacking(self._heads))
        found.add(LISTS, views.differences, self._rows(views, stored))
        expected = rules.expected_state(replay)
        last = put(MAILBOX, user_id, domain_id, generation, encode(expected))
        differences = rules.state_differences(state, expected)
        found.add(COUNTS, differences, [last, usage_row(user_id, domain_id, expected.usage)])
        await self._settings(replay.settings)
        await self._correspondents(views.rows.values())
        await self._commands(entries)
        await self._lists(views.rows.values())
        return found

    async def _records(self) -> list[MessageRecord]:
        records: list[MessageRecord] = []
        after = ""
        while some := await self._history.records(self._user_id, after_id=after, limit=PAGE_MAX):
            records += some
            after = some[-1].message_id
        return records

    async def _ids(self) -> list[MessageId]:
        found = await asyncio.gather(
            *(self._reads.session.read(_IDS, self._user_id, bucket) for bucket in ID_BUCKETS)
        )
        return [id_ for rows in found for (id_,) in rows]

    def _rows(
        self, views: rules.ExpectedViews, stored: Mapping[MessageId, Message]
    ) -> Iterable[RowWrite]:
        user_id = self._user_id
        for message_id in stored.keys() - views.rows.keys():
            yield delete(MESSAGE, user_id, message_id)
            yield delete(MESSAGE_ID, user_id, message_id[:1], message_id)
        for message_id, row in views.rows.items():
            if stored.get(message_id) != row:
                yield from message_rows(row, stored.get(message_id))
        for key, thread_id in views.threads.items():
            yield put(THREAD_KEY, user_id, key, thread_id)

    async def _settings(self, expected: Any) -> None:
        stored = await self._reads.settings(self._user_id)
        differences = rules.settings_differences(stored, expected)
        self._found.add(LISTS, differences, [put(SETTINGS, self._user_id, encode(expected))])

    async def _correspondents(self, rows: Iterable[Message]) -> None:
        stored = await self._reads.all_correspondents(self._user_id)
        expected: dict[str, Correspondent] = {}
        for row in rows:
            for address, one in correspondent_rules.counted(None, row).items():
                expected[address] = correspondent_rules.merged(expected.get(address), one)
        last_seen = ((one.last_ms, address) for address, one in expected.items())
        for address in correspondent_rules.least_recent(last_seen, len(expected)):
            del expected[address]
        wrong = correspondent_rules.lacking(stored, expected)
        repairs = [
            put(CORRESPONDENT, self._user_id, address, encode(one))
            for address, one in wrong.items()
        ]
        self._found.add(LISTS, rules.correspondent_differences(len(wrong)), repairs)

    async def _commands(self, entries: Iterable[MailboxChanged]) -> None:
        by_id = {entry.command_id: entry for entry in entries}
        stored = await self._history.command_seqs(self._user_id, by_id)
        for command_id, entry in by_id.items():
            if stored.get(command_id) != entry.seq:
                what = f"command {command_id} has a wrong seq or no row"
                follow_up = None if entry.follow_up is None else encode(entry.follow_up)
                row = put(COMMAND, self._user_id, command_id, entry.seq, follow_up)
                self._found.add(LISTS, [ViewDifference(LISTS, what)], [row])

    async def _lists(self, rows: Iterable[Message]) -> None:
        by_thread: dict[ThreadId, list[tuple[None, Message]]] = defaultdict(list)
        expected: dict[Any, tuple[Any, ...]] = {}
        for row in rows:
            expected |= rows_of(row)
            by_thread[row.thread_id].append((None, row))
        threads = await self._threads(by_thread)
        for thread_id, thread in threads.items():
            expected |= conversation_rows(thread_id, thread)
        stored = await StoredLists.read(self._reads, self._user_id, expected)
        for part, what, repair in stored.differences(expected):
            self._found.add(LISTS, [ViewDifference(part, what)], [repair])

    async def _threads(
        self, by_thread: Mapping[ThreadId, list[tuple[None, Message]]]
    ) -> dict[ThreadId, StoredThread]:
        """The expected threads; those that are stored otherwise are repaired."""
        stored = await self._reads.threads(self._user_id, by_thread)
        newest = self._reads.newest_members(self._user_id)
        expected = {}
        for thread_id, changes in by_thread.items():
            thread = await thread_after(StoredThread(), changes, newest)
            known = stored.get(thread_id, StoredThread())
            if not set(thread.buckets) <= set(known.buckets) or known.lists != thread.lists:
                what = f"thread {thread_id}: its row is wrong or missing"
                row = put(THREAD, self._user_id, thread_id, encode(thread))
                self._found.add(LISTS, [ViewDifference(THREADS, what)], [row])
            buckets = tuple(sorted({*thread.buckets, *known.buckets})) if thread.lists else ()
            expected[thread_id] = msgspec.structs.replace(thread, buckets=buckets)
        return expected
