"""MailStore in one SQLite file, written by the role `mailbox`, read by every process.

Journal entry, message rows, lists and state of a commit are one transaction, so the views are never
behind the journal and `load` has nothing to re-apply. The journal's keys fence off a late writer.
The statements are in journal_and_rows.py, lists.py, threads.py and folding.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Self

from mail.mailbox import commit_rules
from mail.mailbox.folders import all_folders
from mail.mailbox.list_filters import folders_of
from mail.pagination import OLDEST, check_limit, decode_cursor, encode_cursor, list_scope, page_of
from mail.ports import Commit, MailStore
from schemas.consistency import ConsistencyReport, Rebuild
from schemas.events.mailbox_commands import RebuildViews
from schemas.events.mailbox_events import MailboxChanged
from schemas.mail import HeaderSummary
from schemas.mailbox import Filter, Folder, MailboxState, Message, Page, Usage
from schemas.snapshot import MessageRecord, Snapshot
from schemas.sqlite.mail_store import MAIL
from stores.sqlite.batched_reads import BatchedReads
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile
from stores.sqlite.mail_store import folding as folds
from stores.sqlite.mail_store import journal_and_rows as rows
from stores.sqlite.mail_store import lists, threads
from stores.sqlite.mail_store import rebuild as rebuilding
from stores.sqlite.mail_store import rebuild_tables as scratch
from stores.sqlite.mail_store.upgrade import empty_tombstones, upgrade

MIGRATIONS = (
    MAIL[0],
    (*MAIL[1], upgrade),
    (*MAIL[2], threads.join_all),
    (*MAIL[3], empty_tombstones),
)


class SqliteMailStore(MailStore):
    """Made by `open`; `close` it."""

    def __init__(self, file: SqliteFile, *, scan_max: int, step_max: int) -> None:
        self._file = file
        self._scan_max = scan_max
        self._step_max = step_max
        self._message = BatchedReads(file, _message)

    @classmethod
    async def open(
        cls,
        path: Path,
        config: SqliteConfig | None = None,
        *,
        scan_max: int = lists.SCAN_MAX,
        step_max: int = rebuilding.STEP_MAX,
    ) -> Self:
        """Fatal: a newer version's file. StoreUnavailable: it cannot be opened.

        `scan_max`: rows that a page under a filter looks at. `step_max`: lines that one step of a
        rebuild looks at.
        """
        file = await SqliteFile.open(path, MIGRATIONS, config or SqliteConfig())
        return cls(file, scan_max=scan_max, step_max=step_max)

    async def close(self) -> None:
        await self._file.close()

    async def load(self, user_id: str) -> MailboxState:
        return await self.state(user_id)

    async def state(self, user_id: str) -> MailboxState:
        return await self._file.read(lambda c: rows.state(c, user_id))

    async def commit(self, commit: Commit) -> None:
        commit_rules.check_whole(commit)
        await self._file.write(lambda c: rows.write(c, commit))

    async def by_command(self, user_id: str, command_id: str) -> MailboxChanged | None:
        return await self._file.read(lambda c: rows.by_command(c, user_id, command_id))

    async def message(self, user_id: str, message_id: str) -> Message | None:
        return await self._message.of((user_id, message_id))

    async def rows(self, user_id: str, message_ids: Sequence[str]) -> dict[str, Message]:
        found = await self._file.read(lambda c: rows.messages(c, user_id, message_ids))
        return {row.message_id: row for row in found}

    async def messages(self, user_id: str, message_ids: Sequence[str]) -> dict[str, Message]:
        found = await self.rows(user_id, message_ids)
        return {id_: row for id_, row in found.items() if not row.destroyed}

    async def by_id(self, user_id: str, *, after_id: str, limit: int) -> list[Message]:
        check_limit(limit)
        return await self._file.read(lambda c: rows.by_id(c, user_id, after_id, limit))

    async def folders(self, user_id: str) -> tuple[Folder, ...]:
        return all_folders(await self.state(user_id))

    async def page(
        self,
        user_id: str,
        folder_id: str | None,
        *,
        wanted: Filter,
        limit: int,
        cursor: str | None,
    ) -> Page:
        check_limit(limit)
        scope = list_scope(user_id, folder_id, wanted)
        before = decode_cursor(cursor, *scope) if cursor is not None else None
        part = lists.ListPart(filter=wanted, before=before, limit=limit, scan_max=self._scan_max)
        found = await self._file.read(lambda c: _listed(c, user_id, folder_id, part))
        return Page(found.rows, None if found.on is None else encode_cursor(found.on, *scope))

    async def by_uid(
        self, user_id: str, folder_id: str, *, after_uid: int, limit: int
    ) -> list[Message]:
        check_limit(limit)
        return await self._file.read(
            lambda c: lists.by_uid(c, rows.box_of(c, user_id).key, folder_id, after_uid, limit)
        )

    async def before_delivery(
        self, user_id: str, message_id: str, keys: Sequence[bytes]
    ) -> tuple[Message | None, dict[bytes, str]]:
        return await self._file.read(lambda c: _before_delivery(c, user_id, message_id, keys))

    async def thread(self, user_id: str, thread_id: str, *, limit: int, cursor: str | None) -> Page:
        check_limit(limit)
        after = decode_cursor(cursor, user_id, thread_id) if cursor is not None else OLDEST
        found = await self._file.read(
            lambda c: threads.members(c, rows.box_of(c, user_id).key, thread_id, after, limit + 1)
        )
        return page_of(found, limit, user_id, thread_id)

    async def usage(self, user_id: str) -> Usage:
        return await self._file.read(lambda c: rows.usage(c, user_id))

    async def domain_usage(self, domain_id: str) -> Usage:
        return await self._file.read(lambda c: rows.domain_usage(c, domain_id))

    async def journal(self, user_id: str, *, since_seq: int, limit: int) -> list[MailboxChanged]:
        return await self._file.read(lambda c: rows.journal(c, user_id, since_seq, limit))

    async def snapshot(self, user_id: str) -> Snapshot:
        return await self._file.read(lambda c: folds.snapshot(c, user_id))

    async def snapshot_records(
        self, user_id: str, *, after_id: str, limit: int
    ) -> list[MessageRecord]:
        check_limit(limit)
        return await self._file.read(lambda c: folds.records(c, user_id, after_id, limit))

    async def fold(self, user_id: str, *, before_ms: int, to_seq: int) -> int:
        return await self._file.write(lambda c: folds.fold(c, user_id, before_ms, to_seq))

    async def check(self, user_id: str) -> ConsistencyReport:
        return await self._file.read(lambda c: rebuilding.check(c, user_id))

    async def rebuilding(self, user_id: str) -> Rebuild | None:
        return await self._file.read(lambda c: _rebuilding(c, user_id))

    async def rebuild(self, order: RebuildViews, heads: Mapping[str, HeaderSummary]) -> Rebuild:
        step_max = self._step_max
        return await self._file.write(lambda c: rebuilding.rebuild(c, order, heads, step_max))

    async def by_mail(self, mail_id: str) -> list[Message]:
        return sorted(await self.by_mails([mail_id]), key=lambda row: row.user_id)

    async def by_mails(self, mail_ids: Iterable[str]) -> list[Message]:
        wanted = tuple(mail_ids)
        return await self._file.read(lambda c: rows.by_mails(c, wanted))


def _message(connection: Connection, key: tuple[str, str]) -> Message | None:
    return rows.message(connection, *key)


def _rebuilding(connection: Connection, user_id: str) -> Rebuild | None:
    return scratch.progress(connection, rows.box_of(connection, user_id).key)


def _before_delivery(
    connection: Connection, user_id: str, message_id: str, keys: Sequence[bytes]
) -> tuple[Message | None, dict[bytes, str]]:
    key = rows.box_of(connection, user_id).key
    return rows.message(connection, user_id, message_id), threads.threads_of(connection, key, keys)


def _listed(
    connection: Connection, user_id: str, folder_id: str | None, part: lists.ListPart
) -> lists.ListRows:
    folder_ids = folders_of(rows.state(connection, user_id), folder_id)
    return lists.listed(connection, rows.box_of(connection, user_id).key, folder_ids, part)
