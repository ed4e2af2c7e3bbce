"""MailStore on a Cassandra cluster, written by the role `mailbox`, read by every process.

A group of steps: plan, journal entries with the plan, check of the fence, views, state. `load`
finishes a group whose entries are written. Readers repair nothing.
"""

from collections.abc import Iterable, Mapping, Sequence

from mail.mailbox.consistency_check import JournalDamaged, journal_difference
from mail.mailbox.correspondents import found
from mail.mailbox.folders import all_folders
from mail.pagination import ListPosition, PagePart, check_limit
from mail.ports import Commit, MailStore
from schemas.consistency import COUNTS, LISTS, ConsistencyReport, Rebuild
from schemas.conversations import ConversationFilter, ConversationPage, ThreadCounts, ThreadLists
from schemas.correspondents import Correspondent
from schemas.cql.mail_store import MAIL
from schemas.events.mailbox_commands import RebuildViews
from schemas.events.mailbox_events import MailboxChanged
from schemas.folder_slots import FolderSlots
from schemas.ids import CommandId, DomainId, DraftId, FolderId, MailId, MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import Filter, Folder, MailboxState, Message, Page, Usage
from schemas.snapshot import MessageRecord, Snapshot
from schemas.user_settings import StoredSettings
from stores.cassandra.base import CassandraStore
from stores.cassandra.mail_store import conversation_pages, lookups, pages
from stores.cassandra.mail_store.check.findings import CheckFindings
from stores.cassandra.mail_store.check.mailbox_check import MailboxCheck
from stores.cassandra.mail_store.history import History
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.statements import MailboxStatements
from stores.cassandra.mail_store.writer import MailboxWrites
from stores.cassandra.session import CassandraSession
from stores.paged_reads import PagedReads
from stores.write_check import WriteCheck, always_writable

SCAN_MAX = 5_000  # rows that a page with a filter reads


class CassandraMailStore(CassandraStore, PagedReads, MailStore):
    """MailStore over a session. Create it with `open`; `close` it.

    `check` is called before each statement that writes a mailbox (stores/write_check.py).
    """

    schemas = {"mail": MAIL}  # noqa: RUF012

    def __init__(
        self,
        session: CassandraSession,
        *,
        scan_max: int = SCAN_MAX,
        check: WriteCheck = always_writable,
    ) -> None:
        super().__init__(session)
        statements = MailboxStatements(session, check)
        self._reads = MailboxReads(session)
        self._history = History(self._reads)
        self._writes = MailboxWrites(self._reads, self._history, statements)
        self._scan_max = scan_max

    # Reader

    async def state(self, user_id: UserId) -> MailboxState:
        return (await self._reads.stored(user_id))[1]

    async def folders(self, user_id: UserId) -> tuple[Folder, ...]:
        return all_folders(await self.state(user_id))

    async def message(self, user_id: UserId, message_id: MessageId) -> Message | None:
        return (await self.rows(user_id, [message_id])).get(message_id)

    async def messages(
        self, user_id: UserId, message_ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]:
        rows = await self.rows(user_id, message_ids)
        return {id_: row for id_, row in rows.items() if not row.destroyed}

    async def _page(self, part: PagePart[Filter]) -> Page:
        return await pages.page(self._reads, part)

    async def _members(
        self, user_id: UserId, thread_id: ThreadId, after: ListPosition, limit: int
    ) -> list[Message]:
        return await lookups.members_after(self._reads, user_id, thread_id, after, limit)

    async def by_uid(
        self, user_id: UserId, folder_id: FolderId, *, after_uid: int, limit: int
    ) -> list[Message]:
        check_limit(limit)
        return await lookups.by_uid(self._reads, user_id, folder_id, after_uid, limit)

    async def by_id(self, user_id: UserId, *, after_id: str, limit: int) -> list[Message]:
        check_limit(limit)
        return await lookups.by_id(self._reads, user_id, after_id, limit)

    async def usage(self, user_id: UserId) -> Usage:
        return (await self.state(user_id)).usage

    # ConversationLists

    async def _conversation_page(self, part: PagePart[ConversationFilter]) -> ConversationPage:
        return await conversation_pages.page(self._reads, part)

    async def thread_counts(self, user_id: UserId) -> dict[FolderId, ThreadCounts]:
        return await conversation_pages.thread_counts(self._reads, user_id)

    async def thread_lists(self, user_id: UserId, thread_ids: Sequence[ThreadId]) -> ThreadLists:
        return await conversation_pages.thread_lists(self._reads, user_id, thread_ids)

    # FolderViews

    async def slots(self, user_id: UserId, folder_id: FolderId) -> FolderSlots:
        return await lookups.slots(self._reads, user_id, folder_id, since_seq=-1)

    async def changed(self, user_id: UserId, folder_id: FolderId, *, since_seq: int) -> FolderSlots:
        return await lookups.slots(self._reads, user_id, folder_id, since_seq=since_seq)

    async def vanished(
        self, user_id: UserId, folder_id: FolderId, *, since_seq: int
    ) -> tuple[int, ...]:
        return await self._history.vanished(user_id, folder_id, since_seq=since_seq)

    async def keywords(self, user_id: UserId) -> tuple[str, ...]:
        return lookups.keywords(await self._reads.heads(user_id))

    # OwnerViews

    async def settings(self, user_id: UserId) -> StoredSettings:
        return await self._reads.settings(user_id)

    async def correspondents(
        self, user_id: UserId, prefix: str, *, limit: int
    ) -> list[Correspondent]:
        return found(await self._reads.all_correspondents(user_id), prefix, limit)

    # MailboxHistory

    async def journal(self, user_id: UserId, *, since_seq: int, limit: int) -> list[MailboxChanged]:
        return await self._history.journal(user_id, since_seq=since_seq, limit=limit)

    async def command_seqs(
        self, user_id: UserId, command_ids: Sequence[CommandId]
    ) -> dict[CommandId, int]:
        return await self._history.command_seqs(user_id, command_ids)

    async def snapshot(self, user_id: UserId) -> Snapshot:
        return await self._reads.snapshot(user_id)

    async def snapshot_records(
        self, user_id: UserId, *, after_id: str, limit: int
    ) -> list[MessageRecord]:
        return await self._history.records(user_id, after_id=after_id, limit=limit)

    async def check(self, user_id: UserId) -> ConsistencyReport:
        checked = CheckFindings((LISTS, COUNTS))
        try:
            await MailboxCheck(self._reads, user_id, checked).at_stored_state()
        except JournalDamaged as error:
            return ConsistencyReport(differences=(journal_difference(error),))
        return checked.findings.report

    async def rows_after(self, user_id: UserId, *, after_id: str, limit: int) -> list[Message]:
        check_limit(limit)
        return await lookups.rows_after(self._reads, user_id, after_id, limit)

    # MailboxWriter

    async def load(self, user_id: UserId) -> MailboxState:
        return await self._writes.load(user_id)

    async def commit(self, commit: Commit) -> None:
        await self._writes.commit([commit])

    async def commit_all(self, commits: Sequence[Commit]) -> None:
        if commits:
            await self._writes.commit(commits)

    async def by_command(self, user_id: UserId, command_id: CommandId) -> MailboxChanged | None:
        return await self._history.by_command(user_id, command_id)

    async def rows(
        self, user_id: UserId, message_ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]:
        return await self._reads.rows(user_id, message_ids)

    async def rows_and_threads(
        self, user_id: UserId, message_ids: Sequence[MessageId], keys: Sequence[bytes]
    ) -> tuple[dict[MessageId, Message], dict[bytes, ThreadId]]:
        return await self._writes.rows_and_threads(user_id, message_ids, keys)

    async def fold(self, user_id: UserId, *, before_ms: int, to_seq: int) -> int:
        return await self._writes.fold(user_id, before_ms=before_ms, to_seq=to_seq)

    async def rebuilding(self, user_id: UserId) -> Rebuild | None:
        return await self._writes.rebuilding(user_id)

    async def rebuild(
        self, order: RebuildViews, heads: Mapping[MessageId, HeaderSummary]
    ) -> Rebuild:
        """In one step, and one more for each thousand lost rows, whose contents are read first."""
        return await self._writes.rebuild(order, heads)

    # MailLookup

    async def by_draft(self, user_id: UserId, draft_id: DraftId) -> Message | None:
        return await lookups.by_draft(self._reads, user_id, draft_id)

    async def by_mail(self, mail_id: MailId) -> list[Message]:
        return sorted(await self.by_mails([mail_id]), key=lambda row: row.user_id)

    async def by_mails(self, mail_ids: Iterable[MailId]) -> list[Message]:
        return await lookups.by_mails(self._reads, tuple(mail_ids))

    async def domain_usage(self, domain_id: DomainId) -> Usage:
        return await lookups.domain_usage(self._reads, domain_id)
