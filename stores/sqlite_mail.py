"""MailStore in one SQLite file, written by the role `mailbox`, read by every process.

Journal entry, message row, lists and state of a commit are one transaction, so the views are never
behind the journal and `load` has nothing to re-apply. The journal's keys fence off a late writer.
The statements are in sqlite_mail_rows.py.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from mail.ports import Commit, MailStore
from schemas.events import MailboxChanged
from schemas.mailbox import FolderCounts, MailboxState, Message, Page
from schemas.sqlite import MAIL
from stores import commits
from stores import sqlite_mail_rows as rows
from stores.cursors import check_limit, decode_cursor, encode_cursor, list_scope
from stores.sqlite_base import SqliteConfig
from stores.sqlite_threads import SqliteFile


class SqliteMailStore(MailStore):
    """Made by `open`; `close` it."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    @classmethod
    async def open(cls, path: Path, config: SqliteConfig | None = None) -> Self:
        """Fatal: a newer version's file. StoreUnavailable: it cannot be opened."""
        return cls(await SqliteFile.open(path, MAIL, config or SqliteConfig()))

    async def close(self) -> None:
        await self._file.close()

    async def load(self, user_id: str) -> MailboxState:
        return await self._file.read(lambda c: rows.state(c, user_id))

    async def commit(self, commit: Commit) -> None:
        commits.check_whole(commit)
        await self._file.write(lambda c: rows.write(c, commit))

    async def by_command(self, user_id: str, command_id: str) -> MailboxChanged | None:
        return await self._file.read(lambda c: rows.by_command(c, user_id, command_id))

    async def message(self, user_id: str, message_id: str) -> Message | None:
        return await self._file.read(lambda c: rows.message(c, user_id, message_id))

    async def messages(self, user_id: str, message_ids: Sequence[str]) -> dict[str, Message]:
        found = await self._file.read(
            lambda c: [rows.message(c, user_id, message_id) for message_id in message_ids]
        )
        return {row.message_id: row for row in found if row and not row.destroyed}

    async def folders(self, user_id: str) -> tuple[FolderCounts, ...]:
        return commits.all_folders(await self.load(user_id))

    async def page(
        self, user_id: str, folder_id: str, *, unread: bool | None, limit: int, cursor: str | None
    ) -> Page:
        check_limit(limit)
        scope = list_scope(user_id, folder_id, unread)
        before = decode_cursor(cursor, *scope) if cursor is not None else None
        wanted = rows.Wanted(user_id, folder_id, unread, before, limit + 1)
        found = await self._file.read(lambda c: rows.listed(c, wanted))
        shown, more = tuple(found[:limit]), len(found) > limit
        return Page(shown, encode_cursor(rows.arrival(shown[-1]), *scope) if more else None)

    async def journal(self, user_id: str, *, since_seq: int, limit: int) -> list[MailboxChanged]:
        return await self._file.read(lambda c: rows.journal(c, user_id, since_seq, limit))

    async def by_mail(self, mail_id: str) -> list[Message]:
        return sorted(await self.by_mails([mail_id]), key=lambda row: row.user_id)

    async def by_mails(self, mail_ids: Iterable[str]) -> list[Message]:
        wanted = tuple(mail_ids)
        return await self._file.read(lambda c: rows.by_mails(c, wanted))
