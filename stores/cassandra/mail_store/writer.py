"""The one writer of a mailbox: claims it, commits steps, folds and rebuilds.

What a writer knows of a mailbox (state, heads of lists, generation) is kept between steps. After
any failure it is forgotten, and the next step claims and reads the mailbox again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

import msgspec

from mail.errors import Fatal, JournalConflict, Refused
from mail.mailbox import commit_rules
from mail.ports import Commit
from schemas.consistency import Rebuild
from schemas.cql.mail_store import JOURNAL, JOURNAL_SHIFT, REBUILD
from schemas.events.mailbox_commands import RebuildViews
from schemas.ids import DomainId, MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import MailboxState, Message
from stores.cassandra.mail_store.check.findings import CheckFindings
from stores.cassandra.mail_store.check.mailbox_check import MailboxCheck
from stores.cassandra.mail_store.commit_plan import Redo, decode_redo, keys_of, plan
from stores.cassandra.mail_store.folding import Folding
from stores.cassandra.mail_store.groups import STEPS_MAX, groups_of
from stores.cassandra.mail_store.history import History
from stores.cassandra.mail_store.lists import ListHead, encode
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.ownership import Ownership
from stores.cassandra.mail_store.stamps import RowWrite, put
from stores.cassandra.mail_store.statements import MailboxStatements
from stores.cassandra.session import NO_VALUE

KNOWN_MAX = 10_000  # mailboxes whose lists' heads are kept, about 2 KB each
_ENTRIES_AND_REDO = JOURNAL.select("seq, entry, redo", "AND seq >= ? LIMIT ?")
_FROM = "DELETE FROM journal USING TIMESTAMP ? WHERE user_id = ? AND bucket = ? AND seq >= ?"
_REBUILD = REBUILD.select("rebuild")
_rebuild = msgspec.msgpack.Decoder(Rebuild).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A mailbox that this process has claimed."""

    generation: int
    domain_id: DomainId
    state: MailboxState
    heads: dict[str, ListHead]
    unbound: frozenset[bytes] = frozenset()  # thread keys that are known to belong to no thread


class MailboxWrites:
    """Writes of all mailboxes of this process, one at a time for each user."""

    def __init__(
        self, reads: MailboxReads, history: History, statements: MailboxStatements
    ) -> None:
        self._reads = reads
        self._session = reads.session
        self._history = history
        self._folding = Folding(reads, history, statements)
        self._statements = statements
        self._ownership = Ownership(self._session, statements)
        self._owned: OrderedDict[UserId, Owned] = OrderedDict()
        self._locks: WeakValueDictionary[UserId, asyncio.Lock] = WeakValueDictionary()

    async def load(self, user_id: UserId) -> MailboxState:
        """Claim the mailbox, and finish a group that was cut short.

        A mailbox that is still this writer's is not claimed again: a command that changes nothing
        loads it too, and a mailbox has a limited number of generations.
        """
        async with self._lock(user_id):
            owned = self._owned.pop(user_id, None)
            if owned and await self._ownership.is_kept(user_id, generation=owned.generation):
                self._keep(user_id, owned)
                return owned.state
            return (await self._claimed(user_id)).state

    async def commit(self, commits: Sequence[Commit]) -> None:
        """Write successive commits of one user. Of a group all are written, or none."""
        for commit in commits:
            commit_rules.check_whole(commit)
        user_id = commits[0].entry.user_id
        async with self._lock(user_id):
            with self._kept(user_id):
                for group in groups_of(commits):
                    await self._commit_group(user_id, group)

    async def _commit_group(self, user_id: UserId, commits: Sequence[Commit]) -> None:
        owned = self._owned.get(user_id) or await self._claimed(user_id)
        new = await self._new(commits, owned.state.seq)
        if not new:
            return
        keys = keys_of(new).keys()
        done, bound = await asyncio.gather(
            self._history.command_seqs(user_id, [commit.entry.command_id for commit in new]),
            self._reads.bound(user_id, keys - owned.unbound),
        )
        if done:
            raise JournalConflict(user_id, new[0].entry.seq)
        made = await plan(self._reads, new, owned.state, owned.heads, bound)
        entries = [encode(commit.entry) for commit in new]
        await self._journal(user_id, entries, made.redo, owned.generation)
        await self._finish(user_id, made.redo, owned.generation)
        after = replace(
            owned,
            domain_id=made.redo.domain_id,
            state=made.redo.state,
            heads=made.heads,
            unbound=owned.unbound - keys,
        )
        self._keep(user_id, after)

    async def _new(self, commits: Sequence[Commit], last_seq: int) -> list[Commit]:
        """The commits without those that the journal has. Raises JournalConflict."""
        new: list[Commit] = []
        for commit in commits:
            entry = commit.entry
            journalled = (
                await self._history.entry(entry.user_id, entry.seq)
                if entry.seq <= last_seq
                else None
            )
            if not commit_rules.is_repeated(entry, last_seq=last_seq, journalled=journalled):
                new.append(commit)
                last_seq = entry.seq
        return new

    async def rows_and_threads(
        self, user_id: UserId, message_ids: Sequence[MessageId], keys: Sequence[bytes]
    ) -> tuple[dict[MessageId, Message], dict[bytes, ThreadId]]:
        """Those of the messages and of the thread keys that exist.

        While the mailbox is this writer's, no other process binds the other keys: the commits that
        follow need not ask again.
        """
        owned = self._owned.get(user_id)
        rows, bound = await asyncio.gather(
            self._reads.rows(user_id, message_ids), self._reads.bound(user_id, keys)
        )
        if owned is not None and self._owned.get(user_id) is owned:
            unbound = frozenset(keys) - bound.keys()
            self._keep(user_id, replace(owned, unbound=unbound))
        return rows, bound

    async def fold(self, user_id: UserId, *, before_ms: int, to_seq: int) -> int:
        progress = await self.rebuilding(user_id)
        async with self._lock(user_id):
            if progress is not None and not progress.is_finished:
                return 0
            domain_id, state = await self._reads.stored(user_id)
            if not domain_id:
                return 0
            with self._kept(user_id):
                owned = self._owned.get(user_id) or await self._claimed(user_id)
                return await self._folding.fold(
                    user_id,
                    before_ms=before_ms,
                    to_seq=min(to_seq, state.seq),
                    generation=owned.generation,
                )

    async def rebuilding(self, user_id: UserId) -> Rebuild | None:
        rows = await self._session.read(_REBUILD, user_id)
        return _rebuild(rows[0][0]) if rows else None

    async def rebuild(
        self, order: RebuildViews, heads: Mapping[MessageId, HeaderSummary]
    ) -> Rebuild:
        """Raises JournalDamaged. Refused: a later rebuild has begun."""
        user_id = order.user_id
        if not (await self._reads.stored(user_id))[0]:
            return Rebuild(rebuild_id=order.rebuild_id, parts=order.parts, is_finished=True)
        before = await self.rebuilding(user_id)
        if before is None or before.rebuild_id != order.rebuild_id:
            if order.step:
                raise Refused("another rebuild of this mailbox has begun since")
            before = Rebuild(rebuild_id=order.rebuild_id, parts=order.parts)
        if before.is_finished or order.step != before.step:
            return before
        async with self._lock(user_id):
            self._owned.pop(user_id, None)  # the next step reads what the rebuild has written
            return await self._rebuild(user_id, before, heads)

    async def _rebuild(
        self, user_id: UserId, before: Rebuild, heads: Mapping[MessageId, HeaderSummary]
    ) -> Rebuild:
        """Repair under a generation of its own: its rows win over those of earlier steps."""
        owned = await self._claimed(user_id)
        self._owned.pop(user_id, None)
        seq, generation = owned.state.seq, owned.generation

        async def write(rows: list[RowWrite]) -> None:
            await self._write(rows, seq, generation)

        found = CheckFindings(before.parts, write)
        check = MailboxCheck(self._reads, user_id, found, heads)
        await check.run(owned.domain_id, owned.state, generation)
        after = msgspec.structs.replace(
            before,
            step=before.step + 1,
            lacking=tuple(found.lacking),
            mended=before.mended + found.mended,
            is_finished=not found.lacking,
        )
        await write([put(REBUILD, user_id, encode(after))])
        return after

    async def _claimed(self, user_id: UserId) -> Owned:
        """Claim the mailbox; then read it, and finish a group that was cut short.

        Raises JournalConflict: another writer has claimed it since.
        """
        _, before = await self._reads.stored(user_id)
        generation = await self._ownership.claim(user_id, seq=before.seq)
        domain_id, state = await self._reads.stored(user_id)
        redo = await self._unfinished(user_id, state.seq + 1, generation)
        if redo is not None:
            await self._finish(user_id, redo, generation)
            domain_id, state = redo.domain_id, redo.state
        heads, _ = await asyncio.gather(
            self._reads.heads(user_id),
            self._exclude_late_entries(user_id, state.seq + 1, generation),
        )
        owned = Owned(generation=generation, domain_id=domain_id, state=state, heads=heads)
        self._keep(user_id, owned)
        return owned

    async def _unfinished(self, user_id: UserId, seq: int, generation: int) -> Redo | None:
        """Journal the group that begins at `seq` again, if it is in the journal.

        Without that the deletion of an owner between the two (`_exclude_late_entries`) may arrive
        after the views are written.
        """
        bucket = seq >> JOURNAL_SHIFT
        rows = await self._session.read(_ENTRIES_AND_REDO, user_id, bucket, seq, STEPS_MAX)
        if not rows or rows[0][0] != seq:
            return None
        redo = decode_redo(rows[0][2])
        if redo.first_seq > seq:
            raise JournalConflict(user_id, seq)  # another owner has gone on since
        entries = {row[0]: row[1] for row in rows if row[0] <= redo.seq}
        if [*entries] != list(range(redo.first_seq, redo.seq + 1)):
            raise Fatal(f"user {user_id} seq {seq}: its rows are not in the journal")
        await self._journal(user_id, [*entries.values()], redo, generation)
        return redo

    async def _exclude_late_entries(self, user_id: UserId, seq: int, generation: int) -> None:
        """Delete what earlier generations journal from `seq` on: it may arrive hours later.

        A coordinator keeps a write for a replica that is away (a hint), and its writer gets an
        error. Entries of this generation have a higher timestamp than the deletion.
        """
        if generation > 1:
            late = user_id, seq >> JOURNAL_SHIFT, seq
            await self._statements.delete(_FROM, late, seq=seq, generation=generation - 1)

    async def _journal(
        self, user_id: UserId, entries: Sequence[bytes], redo: Redo, generation: int
    ) -> None:
        """Write the entries of a group and its redo; then check that no other owner is there."""
        first, bucket = redo.first_seq, redo.seq >> JOURNAL_SHIFT
        redos = [*[NO_VALUE] * (len(entries) - 1), encode(redo)]
        rows = [
            put(JOURNAL, user_id, bucket, first + number, *values)
            for number, values in enumerate(zip(entries, redos, strict=True))
        ]
        await self._statements.write(rows, seq=first, generation=generation, one_partition=True)
        await self._ownership.check(user_id, first=first, last=redo.seq, generation=generation)

    async def _finish(self, user_id: UserId, redo: Redo, generation: int) -> None:
        await self._write(redo.views, redo.seq, generation)
        await self._write([redo.last(user_id, generation)], redo.seq, generation)

    async def _write(
        self, rows: tuple[RowWrite, ...] | list[RowWrite], seq: int, generation: int
    ) -> None:
        await self._statements.write(rows, seq=seq, generation=generation)

    @contextmanager
    def _kept(self, user_id: UserId) -> Iterator[None]:
        """Forget the mailbox if the block fails or is cancelled."""
        try:
            yield
        except BaseException:
            self._owned.pop(user_id, None)
            raise

    def _keep(self, user_id: UserId, owned: Owned) -> None:
        self._owned[user_id] = owned
        self._owned.move_to_end(user_id)
        if len(self._owned) > KNOWN_MAX:
            self._owned.popitem(last=False)

    def _lock(self, user_id: UserId) -> asyncio.Lock:
        return self._locks.setdefault(user_id, asyncio.Lock())
