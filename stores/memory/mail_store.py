"""MailStore in memory, in the steps of a store without transactions: journal, rows, state.

The journal step of a commit also keeps the whole Commit as pending, because an entry has no header
summary. When rows and state are written, the pending Commit is deleted and the entry stays. So
`load` and a repeated `commit` can complete a commit that a crash has interrupted between any steps.
A row or a state is never replaced by an older row or state (by seq), so late steps of a worker that
lost the partition do no harm.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from mail.errors import JournalConflict, JournalTruncated
from mail.mailbox import commit_rules
from mail.mailbox.consistency_check import damaged
from mail.mailbox.correspondents import found, is_drop_due
from mail.mailbox.folders import all_folders
from mail.mailbox.list_filters import NO_FILTER, folders_of, matches
from mail.mailbox.user_settings import stored_after
from mail.pagination import (
    ListPosition,
    PagePart,
    check_limit,
    conversation_scope,
    cursors_of,
    list_scope,
    place_of,
)
from mail.ports import Commit, MailStore
from schemas.consistency import ConsistencyReport, Rebuild
from schemas.conversations import (
    ALL_MAIL,
    ConversationFilter,
    ConversationPage,
    ThreadCounts,
    ThreadLists,
)
from schemas.correspondents import Correspondent
from schemas.events.mailbox_commands import RebuildViews
from schemas.events.mailbox_events import MailboxChanged
from schemas.folder_slots import FolderSlots, slot_of, slots_of
from schemas.ids import CommandId, DomainId, DraftId, FolderId, MailId, MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import SEEN, Filter, Folder, MailboxState, Message, Page, Usage
from schemas.snapshot import MessageRecord, Snapshot
from schemas.user_settings import StoredSettings
from stores.memory import conversations, mail_store_check, owner_views
from stores.memory.faults import FaultHook, no_fault, take_step
from stores.memory.list_pages import page_rows
from stores.memory.mailbox import MemoryMailbox
from stores.paged_reads import PagedReads


class MemoryMailStore(PagedReads, MailStore):
    """Steps for `fault`: read, journal, row, state, fold."""

    _scan_max = sys.maxsize

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self._mailboxes: dict[str, MemoryMailbox] = {}

    async def load(self, user_id: UserId) -> MailboxState:
        await take_step(self.fault, "read")
        await self._finish(user_id)
        return self._of(user_id).state

    async def state(self, user_id: UserId) -> MailboxState:
        await take_step(self.fault, "read")
        return self._of(user_id).state

    async def commit(self, commit: Commit) -> None:
        commit_rules.check_whole(commit)
        await take_step(self.fault, "journal")
        self._journal(commit)
        await self._finish(commit.entry.user_id)

    async def commit_all(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            await self.commit(commit)

    async def by_command(self, user_id: UserId, command_id: CommandId) -> MailboxChanged | None:
        await take_step(self.fault, "read")
        box = self._of(user_id)
        seq = box.commands.get(command_id)
        if seq is None:
            return None
        if seq not in box.journal:
            raise JournalTruncated(box.folded.state.seq, box.follow_ups.get(seq))
        return box.journal[seq]

    async def message(self, user_id: UserId, message_id: MessageId) -> Message | None:
        return (await self.rows(user_id, [message_id])).get(message_id)

    async def rows(
        self, user_id: UserId, message_ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]:
        await take_step(self.fault, "read")
        return self._of(user_id).rows(message_ids)

    async def messages(
        self, user_id: UserId, message_ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]:
        rows = await self.rows(user_id, message_ids)
        return {id_: row for id_, row in rows.items() if not row.destroyed}

    async def by_id(self, user_id: UserId, *, after_id: str, limit: int) -> list[Message]:
        check_limit(limit)
        await take_step(self.fault, "read")
        rows = self._of(user_id).rows_after(after_id)
        return [row for row in rows if not row.destroyed][:limit]

    async def rows_after(self, user_id: UserId, *, after_id: str, limit: int) -> list[Message]:
        check_limit(limit)
        await take_step(self.fault, "read")
        return self._of(user_id).rows_after(after_id)[:limit]

    async def folders(self, user_id: UserId) -> tuple[Folder, ...]:
        await take_step(self.fault, "read")
        return all_folders(self._of(user_id).state)

    async def _page(self, part: PagePart[Filter]) -> Page:
        await take_step(self.fault, "read")
        seq, wanted = self._of(part.user_id).state.seq, part.conditions
        every = self._matching(part.user_id, part.folder_id, NO_FILTER)
        shown = [row for row in every if matches(row, wanted)]
        rows, start, end = page_rows(shown, part, len(every), place_of)
        scope = list_scope(part.user_id, part.folder_id, wanted)
        cursors = cursors_of(start, list(map(place_of, rows)), end, *scope)
        if part.position is None:
            return Page(tuple(rows), *cursors, seq=seq)
        return Page(tuple(rows), *cursors, seq=seq, position=part.position, total=len(shown))

    async def _conversation_page(self, part: PagePart[ConversationFilter]) -> ConversationPage:
        await take_step(self.fault, "read")
        seq, list_id = self._of(part.user_id).state.seq, part.folder_id or ALL_MAIL
        rows = list(self._shown(part.user_id))
        every = conversations.listed(rows, list_id, ConversationFilter())
        shown = conversations.listed(rows, list_id, part.conditions)
        threads, start, end = page_rows(shown, part, len(every), conversations.position_of)
        scope = conversation_scope(part.user_id, part.folder_id, part.conditions)
        page = conversations.page(threads, list_id, (start, end), scope)
        if part.position is None:
            return msgspec.structs.replace(page, seq=seq)
        return msgspec.structs.replace(page, seq=seq, position=part.position, total=len(shown))

    async def thread_lists(self, user_id: UserId, thread_ids: Sequence[ThreadId]) -> ThreadLists:
        await take_step(self.fault, "read")
        lists = conversations.of_threads(self._shown(user_id), thread_ids)
        return ThreadLists(lists=lists, seq=self._of(user_id).state.seq)

    async def thread_counts(self, user_id: UserId) -> dict[FolderId, ThreadCounts]:
        await take_step(self.fault, "read")
        return conversations.counts(self._shown(user_id))

    async def by_uid(
        self, user_id: UserId, folder_id: FolderId, *, after_uid: int, limit: int
    ) -> list[Message]:
        check_limit(limit)
        await take_step(self.fault, "read")
        rows = [row for row in self._alive(user_id) if row.places.get(folder_id, 0) > after_uid]
        return sorted(rows, key=lambda row: row.places[folder_id])[:limit]

    async def rows_and_threads(
        self, user_id: UserId, message_ids: Sequence[MessageId], keys: Sequence[bytes]
    ) -> tuple[dict[MessageId, Message], dict[bytes, ThreadId]]:
        rows, threads = await self.rows(user_id, message_ids), self._of(user_id).threads
        return rows, {key: threads[key] for key in keys if key in threads}

    async def _members(
        self, user_id: UserId, thread_id: ThreadId, after: ListPosition, limit: int
    ) -> list[Message]:
        await take_step(self.fault, "read")
        rows = sorted(self._shown(user_id), key=place_of)
        return [row for row in rows if row.thread_id == thread_id and place_of(row) > after][:limit]

    async def usage(self, user_id: UserId) -> Usage:
        await take_step(self.fault, "read")
        return self._of(user_id).state.usage

    async def domain_usage(self, domain_id: DomainId) -> Usage:
        await take_step(self.fault, "read")
        boxes = self._mailboxes.values()
        usages = [box.state.usage for box in boxes if box.domain_id == domain_id]
        size_bytes = sum(usage.size_bytes for usage in usages)
        return Usage(size_bytes, sum(usage.messages for usage in usages))

    async def journal(self, user_id: UserId, *, since_seq: int, limit: int) -> list[MailboxChanged]:
        await take_step(self.fault, "read")
        box, after = self._of(user_id), max(since_seq, 0)
        if after < box.folded.state.seq:
            raise JournalTruncated(box.folded.state.seq)
        return [entry for seq, entry in box.journal.items() if seq > after][:limit]

    async def command_seqs(
        self, user_id: UserId, command_ids: Sequence[CommandId]
    ) -> dict[CommandId, int]:
        await take_step(self.fault, "read")
        return self._of(user_id).seqs_of(command_ids)

    async def snapshot(self, user_id: UserId) -> Snapshot:
        await take_step(self.fault, "read")
        return self._of(user_id).snapshot()

    async def snapshot_records(
        self, user_id: UserId, *, after_id: str, limit: int
    ) -> list[MessageRecord]:
        check_limit(limit)
        await take_step(self.fault, "read")
        records = self._of(user_id).folded.records
        return [records[id_] for id_ in sorted(records) if id_ > after_id][:limit]

    async def fold(self, user_id: UserId, *, before_ms: int, to_seq: int) -> int:
        await take_step(self.fault, "fold")
        box, folded = self._of(user_id), 0
        if box.rebuild and not box.rebuild.is_finished:
            return 0
        while entry := box.due(before_ms, to_seq):
            try:
                box.fold(entry)
            except (ValueError, KeyError) as error:
                raise damaged(box.folded.state.seq, error) from error
            folded += 1
        return folded

    async def slots(self, user_id: UserId, folder_id: FolderId) -> FolderSlots:
        return await self.changed(user_id, folder_id, since_seq=-1)

    async def changed(self, user_id: UserId, folder_id: FolderId, *, since_seq: int) -> FolderSlots:
        await take_step(self.fault, "read")
        rows = (row for row in self._alive(user_id) if row.changed_seq > since_seq)
        return slots_of(sorted(slot_of(row, folder_id) for row in rows if folder_id in row.places))

    async def vanished(
        self, user_id: UserId, folder_id: FolderId, *, since_seq: int
    ) -> tuple[int, ...]:
        await take_step(self.fault, "read")
        box = self._of(user_id)
        if since_seq < box.folded.state.seq:
            raise JournalTruncated(box.folded.state.seq)
        return box.ended_uids(folder_id, since_seq)

    async def keywords(self, user_id: UserId) -> tuple[str, ...]:
        await take_step(self.fault, "read")
        words = {word for row in self._shown(user_id) for word in row.keywords}
        return tuple(sorted(words - {SEEN}))

    async def settings(self, user_id: UserId) -> StoredSettings:
        await take_step(self.fault, "read")
        return self._of(user_id).settings

    async def correspondents(
        self, user_id: UserId, prefix: str, *, limit: int
    ) -> list[Correspondent]:
        await take_step(self.fault, "read")
        return found(self._of(user_id).correspondents, prefix, limit)

    async def check(self, user_id: UserId) -> ConsistencyReport:
        await take_step(self.fault, "read")
        await self._finish(user_id)
        return mail_store_check.check(self._of(user_id))

    async def rebuilding(self, user_id: UserId) -> Rebuild | None:
        await take_step(self.fault, "read")
        return self._of(user_id).rebuild

    async def rebuild(
        self, order: RebuildViews, heads: Mapping[MessageId, HeaderSummary]
    ) -> Rebuild:
        await take_step(self.fault, "state")
        await self._finish(order.user_id)
        return mail_store_check.rebuild(self._of(order.user_id), order, heads)

    async def by_draft(self, user_id: UserId, draft_id: DraftId) -> Message | None:
        await take_step(self.fault, "read")
        return self._of(user_id).by_draft(draft_id)

    async def by_mail(self, mail_id: MailId) -> list[Message]:
        return sorted(await self.by_mails([mail_id]), key=lambda row: row.user_id)

    async def by_mails(self, mail_ids: Iterable[MailId]) -> list[Message]:
        ids = frozenset(mail_ids)
        await take_step(self.fault, "read")
        rows = [row for box in self._mailboxes.values() for row in box.messages.values()]
        return [row for row in rows if row.mail_id in ids]

    def _of(self, user_id: UserId) -> MemoryMailbox:
        return self._mailboxes.get(user_id) or MemoryMailbox()

    def _journal(self, commit: Commit) -> None:
        entry = commit.entry
        box = self._mailboxes.setdefault(entry.user_id, MemoryMailbox())
        journalled = box.journal.get(entry.seq)
        if commit_rules.is_repeated(entry, last_seq=box.last_seq, journalled=journalled):
            return
        if entry.command_id in box.commands:
            raise JournalConflict(entry.user_id, entry.seq)
        box.domain_id = entry.domain_id
        box.pending[entry.seq] = commit
        box.journal[entry.seq] = entry
        box.commands[entry.command_id] = entry.seq

    async def _finish(self, user_id: UserId) -> None:
        """Write rows and state of the pending commits, oldest first."""
        box = self._of(user_id)
        for seq in sorted(box.pending):
            commit = box.pending.get(seq)
            if commit is not None:
                await self._views(box, commit)
                box.pending.pop(seq, None)

    async def _views(self, box: MemoryMailbox, commit: Commit) -> None:
        for row in commit.messages:
            await take_step(self.fault, "row")
            known = box.messages.get(row.message_id)
            if known is None or known.changed_seq < row.changed_seq:
                box.messages[row.message_id] = row
                owner_views.count(box.correspondents, known, row)
        for key, thread_id in commit.threads.items():
            box.threads.setdefault(key, thread_id)
        box.settings = stored_after(box.settings, commit.entry)
        if is_drop_due(commit.entry.seq):
            owner_views.drop(box.correspondents)
        await take_step(self.fault, "state")
        if box.state.seq < commit.state.seq:
            box.state = commit.state

    def _matching(
        self, user_id: UserId, folder_id: FolderId | None, conditions: Filter
    ) -> list[Message]:
        """The messages of a list, newest first."""
        rows = [row for row in self._listed(user_id, folder_id) if matches(row, conditions)]
        return sorted(rows, key=place_of, reverse=True)

    def _listed(self, user_id: UserId, folder_id: FolderId | None) -> Iterator[Message]:
        shown = set(folders_of(self._of(user_id).state, folder_id))
        return (row for row in self._alive(user_id) if shown & row.shown_places.keys())

    def _shown(self, user_id: UserId) -> Iterator[Message]:
        return (row for row in self._alive(user_id) if row.shown_places)

    def _alive(self, user_id: UserId) -> Iterator[Message]:
        return (row for row in self._of(user_id).messages.values() if not row.destroyed)
