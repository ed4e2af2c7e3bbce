"""MailStore in mail.sqlite, written by the role `mailbox`, read by every process.

One transaction holds a commit's journal entry, message rows, lists and state, so the views are
never behind the journal and `load` has nothing to re-apply. The unique keys of the journal reject
the write of a process that is no longer the mailbox's writer.
The statements are in journal_and_rows.py, lists.py, threads.py and folding.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Self

from mail.mailbox.folders import all_folders
from mail.pagination import ListPosition, PagePart, check_limit
from mail.ports import MailStore
from schemas.consistency import Rebuild
from schemas.conversations import ConversationFilter, ConversationPage
from schemas.events.mailbox_commands import RebuildViews
from schemas.ids import FolderId, MailId, MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import Filter, Folder, Message, Page
from schemas.sqlite.mail_store import MAIL
from stores.paged_reads import PagedReads
from stores.sqlite.batched_reads import BatchedReads
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile
from stores.sqlite.mail_store import (
    conversation_lists,
    correspondents,
    folder_views,
    folding,
    journal_and_rows,
    lists,
    message_pages,
    owner_settings,
    rebuild_tables,
    threads,
)
from stores.sqlite.mail_store import rebuild as mailbox_rebuild
from stores.sqlite.mail_store.upgrade import (
    count_correspondents,
    empty_tombstones,
    fill_conversations,
    fill_folder_views,
    upgrade,
)
from stores.sqlite.single_file_store import SingleFileStore, reads, writes

MIGRATIONS = (
    MAIL[0],
    (*MAIL[1], upgrade),
    MAIL[2],
    (*MAIL[3], empty_tombstones),
    (*MAIL[4], fill_folder_views),
    (*MAIL[5], fill_conversations),
    (*MAIL[6], count_correspondents),
    MAIL[7],
)


def _message(connection: Connection, key: tuple[UserId, MessageId]) -> Message | None:
    return journal_and_rows.message(connection, *key)


def _rows_and_threads(
    connection: Connection,
    user_id: UserId,
    message_ids: Sequence[MessageId],
    keys: Sequence[bytes],
) -> tuple[dict[MessageId, Message], dict[bytes, ThreadId]]:
    rows = journal_and_rows.messages(connection, user_id, message_ids)
    return rows, threads.threads_of(connection, _key_of(connection, user_id), keys)


def _by_uid(
    connection: Connection, user_id: UserId, folder_id: FolderId, *, after_uid: int, limit: int
) -> list[Message]:
    check_limit(limit)
    return lists.by_uid(connection, _key_of(connection, user_id), folder_id, after_uid, limit)


def _rebuilding(connection: Connection, user_id: UserId) -> Rebuild | None:
    return rebuild_tables.progress(connection, _key_of(connection, user_id))


def _key_of(connection: Connection, user_id: UserId) -> int:
    return journal_and_rows.header_of(connection, user_id).key


class SqliteMailStore(SingleFileStore, PagedReads, MailStore):
    """MailStore over one SQLite file. Create it with `open`; `close` it."""

    migrations = MIGRATIONS

    def __init__(self, file: SqliteFile, *, scan_max: int, step_max: int) -> None:
        super().__init__(file)
        self._scan_max = scan_max
        self._step_max = step_max
        self._batched_messages = BatchedReads(file, _message)

    @classmethod
    async def open(
        cls,
        path: Path,
        config: SqliteConfig | None = None,
        *,
        scan_max: int = lists.SCAN_MAX,
        step_max: int = mailbox_rebuild.STEP_MAX,
    ) -> Self:
        """Open `path`; see SingleFileStore.open.

        `scan_max`: rows that a page with a filter reads. `step_max`: rows that one step of a
        rebuild reads.
        """
        file = await SqliteFile.open(path, cls.migrations, config or cls.default_config)
        return cls(file, scan_max=scan_max, step_max=step_max)

    load = reads(journal_and_rows.state)
    state = reads(journal_and_rows.state)
    commit = writes(journal_and_rows.write)
    commit_all = writes(journal_and_rows.write_all)
    by_command = reads(journal_and_rows.by_command)
    command_seqs = reads(journal_and_rows.command_seqs)
    rows = reads(journal_and_rows.messages)
    by_id = reads(journal_and_rows.by_id)
    rows_after = reads(journal_and_rows.rows_after)
    by_uid = reads(_by_uid)
    rows_and_threads = reads(_rows_and_threads)
    usage = reads(journal_and_rows.usage)
    by_draft = reads(journal_and_rows.by_draft)
    domain_usage = reads(journal_and_rows.domain_usage)
    journal = reads(journal_and_rows.journal)
    snapshot = reads(folding.snapshot)
    snapshot_records = reads(folding.records)
    fold = writes(folding.fold)
    check = reads(mailbox_rebuild.check)
    rebuilding = reads(_rebuilding)
    slots = reads(folder_views.slots)
    changed = reads(folder_views.changed)
    vanished = reads(folder_views.vanished)
    keywords = reads(folder_views.keywords)
    thread_counts = reads(conversation_lists.thread_counts)
    thread_lists = reads(conversation_lists.thread_lists)
    settings = reads(owner_settings.settings)
    correspondents = reads(correspondents.correspondents)

    async def message(self, user_id: UserId, message_id: MessageId) -> Message | None:
        return await self._batched_messages.of((user_id, message_id))

    async def messages(
        self, user_id: UserId, message_ids: Sequence[MessageId]
    ) -> dict[MessageId, Message]:
        rows = await self.rows(user_id, message_ids)
        return {message_id: row for message_id, row in rows.items() if not row.destroyed}

    async def folders(self, user_id: UserId) -> tuple[Folder, ...]:
        return all_folders(await self.state(user_id))

    async def _page(self, part: PagePart[Filter]) -> Page:
        return await self.file.read(lambda c: message_pages.page(c, part))

    async def _conversation_page(self, part: PagePart[ConversationFilter]) -> ConversationPage:
        return await self.file.read(lambda c: conversation_lists.page(c, part))

    async def _members(
        self, user_id: UserId, thread_id: ThreadId, after: ListPosition, limit: int
    ) -> list[Message]:
        return await self.file.read(
            lambda c: threads.members(c, _key_of(c, user_id), thread_id, after, limit)
        )

    async def rebuild(
        self, order: RebuildViews, heads: Mapping[MessageId, HeaderSummary]
    ) -> Rebuild:
        step_max = self._step_max
        return await self.file.write(lambda c: mailbox_rebuild.rebuild(c, order, heads, step_max))

    async def by_mail(self, mail_id: MailId) -> list[Message]:
        return sorted(await self.by_mails([mail_id]), key=lambda row: row.user_id)

    async def by_mails(self, mail_ids: Iterable[MailId]) -> list[Message]:
        ids = tuple(mail_ids)
        return await self.file.read(lambda c: journal_and_rows.by_mails(c, ids))
