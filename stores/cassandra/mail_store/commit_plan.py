"""Plan of a group of steps: every row that it writes, computed before anything is written.

The plan is stored with the journal's entries (Redo). Its rows are absolute, so that writing them
twice, or after a part of them was written, leaves the same mailbox.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import msgspec

from mail.mailbox import correspondents as correspondent_rules
from mail.mailbox.threads import thread_begun_by
from mail.mailbox.user_settings import stored_after
from mail.ports import Commit
from schemas.correspondents import Correspondent
from schemas.cql.mail_store import (
    COMMAND,
    CORRESPONDENT,
    DOMAIN_BUCKETS,
    DOMAIN_USAGE,
    DRAFT,
    MAILBOX,
    MESSAGE,
    MESSAGE_BY_MAIL,
    MESSAGE_ID,
    SETTINGS,
    THREAD,
    THREAD_KEY,
)
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import DomainId, MessageId, ThreadId, UserId
from schemas.mailbox import MailboxState, Message, Usage
from stores.cassandra.mail_store.lists import (
    CONVERSATIONS,
    HeadChanges,
    ListHead,
    RowChange,
    encode,
    rows_of,
)
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import RowWrite, delete, put
from stores.cassandra.mail_store.threads import (
    StoredThread,
    by_thread,
    conversation_rows,
    thread_after,
)


class Redo(msgspec.Struct, frozen=True, array_like=True):
    """What is written after the journal entries of a group: the views, and at last the state."""

    seq: int  # of the last step
    views: tuple[RowWrite, ...]
    domain_id: DomainId
    state: MailboxState
    first_of_many: int = 0  # seq of the first step; 0: there is one

    @property
    def first_seq(self) -> int:
        return self.first_of_many or self.seq

    def last(self, user_id: UserId, generation: int) -> RowWrite:
        """The row of the state."""
        return put(MAILBOX, user_id, self.domain_id, generation, encode(self.state))


decode_redo = msgspec.msgpack.Decoder(Redo).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitPlan:
    redo: Redo
    heads: dict[str, ListHead]  # of all lists, after the group


def usage_row(user_id: UserId, domain_id: DomainId, usage: Usage) -> RowWrite:
    bucket = crc32(user_id.encode()) % DOMAIN_BUCKETS
    return put(DOMAIN_USAGE, domain_id, bucket, user_id, usage.size_bytes, usage.messages)


def message_rows(row: Message, before: Message | None) -> list[RowWrite]:
    """The row of a message, and those by which it is found."""
    user_id, id_ = row.user_id, row.message_id
    rows = [put(MESSAGE, user_id, id_, encode(row))]
    if before is None:
        rows.append(put(MESSAGE_ID, user_id, id_[:1], id_))
        rows.append(put(MESSAGE_BY_MAIL, row.mail_id, user_id, id_))
    if row.draft_id and not row.destroyed and before is None:
        rows.append(put(DRAFT, user_id, row.draft_id, row.created_seq, id_))
    elif row.draft_id and row.destroyed:
        rows.append(delete(DRAFT, user_id, row.draft_id, row.created_seq))
    return rows


async def plan(
    reads: MailboxReads,
    commits: Sequence[Commit],
    before: MailboxState,
    heads: dict[str, ListHead],
    bound: Mapping[bytes, ThreadId],
) -> CommitPlan:
    """Plan a group of commits on a mailbox whose state is `before` and whose lists have `heads`.

    `bound`: those of the commits' thread keys that belong to a thread already.
    """
    first, last = commits[0].entry, commits[-1].entry
    user_id, state = last.user_id, commits[-1].state
    changes = await _changes(reads, commits)
    lists = HeadChanges(user_id, heads)
    for old, new in changes:
        lists.change(rows_of(old), rows_of(new))
    parts = await asyncio.gather(
        _threads(reads, user_id, changes, lists),
        _correspondents(reads, last, changes),
        _settings(reads, last),
    )
    views = [
        *(_command_row(commit.entry) for commit in commits),
        *(row for old, new in changes for row in message_rows(new, old)),
        *(row for rows in parts for row in rows),
        # A key that is bound keeps its thread.
        *(put(THREAD_KEY, user_id, *each) for each in keys_of(commits).items()
          if each[0] not in bound),
        *lists.writes(last.seq),
    ]  # fmt: skip
    if before.usage != state.usage:
        views.append(usage_row(user_id, last.domain_id, state.usage))
    first_of_many = first.seq if first is not last else 0
    redo = Redo(last.seq, tuple(views), last.domain_id, state, first_of_many)
    return CommitPlan(redo=redo, heads=heads | lists.after)


def keys_of(commits: Sequence[Commit]) -> dict[bytes, ThreadId]:
    """The thread keys that the commits bind, each to the thread of the first that binds it."""
    return {
        key: thread_id
        for commit in reversed(commits)
        for key, thread_id in commit.threads.items()
    }  # fmt: skip


def _command_row(entry: MailboxChanged) -> RowWrite:
    follow_up = None if entry.follow_up is None else encode(entry.follow_up)
    return put(COMMAND, entry.user_id, entry.command_id, entry.seq, follow_up)


async def _changes(reads: MailboxReads, commits: Sequence[Commit]) -> list[RowChange]:
    pairs = [
        pair
        for commit in commits
        for pair in zip(commit.entry.changes, commit.messages, strict=True)
    ]
    changed = [row.message_id for change, row in pairs if not change.delivered]
    known: dict[MessageId, Message] = await reads.rows(commits[0].entry.user_id, changed)
    return [(None if change.delivered else known[row.message_id], row) for change, row in pairs]


async def _threads(
    reads: MailboxReads, user_id: UserId, changes: Sequence[RowChange], lists: HeadChanges
) -> list[RowWrite]:
    changed = by_thread(changes)
    begun = {thread_begun_by(new.message_id) for old, new in changes if old is None}
    stored = await reads.threads(user_id, changed.keys() - begun)
    rows = []
    for thread_id, of_thread in changed.items():
        before = stored.get(thread_id, StoredThread())
        after = await thread_after(before, of_thread, reads.newest_members(user_id))
        if after != before:
            _count_conversations(lists, before, after)
            lists.change(conversation_rows(thread_id, before), conversation_rows(thread_id, after))
            rows.append(put(THREAD, user_id, thread_id, encode(after)))
    return rows


def _count_conversations(lists: HeadChanges, before: StoredThread, after: StoredThread) -> None:
    for sign, thread in ((-1, before), (1, after)):
        for list_id, one in thread.lists.items():
            lists.add(
                CONVERSATIONS + list_id,
                unread_rows=sign * (one.unread > 0),
                messages=sign * one.total,
                unread_messages=sign * one.unread,
            )


async def _correspondents(
    reads: MailboxReads, entry: MailboxChanged, changes: Iterable[RowChange]
) -> list[RowWrite]:
    user_id, is_drop = entry.user_id, correspondent_rules.is_drop_due(entry.seq)
    counted = [correspondent_rules.counted(old, new) for old, new in changes]
    addresses = list({address: None for one in counted for address in one})
    known = await (
        reads.all_correspondents(user_id)
        if is_drop
        else reads.correspondents_of(user_id, addresses)
    )
    after: dict[str, Correspondent] = {}
    for added in counted:
        for address, one in added.items():
            now = after.get(address) or known.get(address)
            after[address] = correspondent_rules.merged(now, one)
    every = known | after
    last_seen = ((one.last_ms, address) for address, one in every.items())
    dropped = set(correspondent_rules.least_recent(last_seen, len(every)) if is_drop else ())
    return [
        *(
            put(CORRESPONDENT, user_id, address, encode(one))
            for address, one in after.items() if address not in dropped
        ),
        *(delete(CORRESPONDENT, user_id, address) for address in sorted(dropped)),
    ]  # fmt: skip


async def _settings(reads: MailboxReads, entry: MailboxChanged) -> list[RowWrite]:
    if entry.settings is None:
        return []
    stored: Any = stored_after(await reads.settings(entry.user_id), entry)
    return [put(SETTINGS, entry.user_id, encode(stored))]
