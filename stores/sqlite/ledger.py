"""Ledger in one SQLite file, written by the role `custody`; operators' commands reopen mails.

A mail's row is small and stays; only the index of open mails is worked through, so the cost of a
look does not grow with what was accepted before. The statements are in ledger_rows.py.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from mail.ledger.states import short_hash
from mail.ports import Ledger
from schemas.ledger import AcceptedMail, DeadLetterState, LedgerEntry, LedgerTotals, Observation
from schemas.sqlite.small_stores import LEDGER
from stores.sqlite import ledger_rows as rows
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile


class SqliteLedger(Ledger):
    """Made by `open`; `close` it."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    @classmethod
    async def open(cls, path: Path, config: SqliteConfig | None = None) -> Self:
        """Fatal: a newer version's file. StoreUnavailable: it cannot be opened."""
        return cls(await SqliteFile.open(path, LEDGER, config or SqliteConfig()))

    async def close(self) -> None:
        await self._file.close()

    async def enter(self, mails: Iterable[AcceptedMail]) -> int:
        entered = tuple(mails)
        return await self._file.write(lambda c: sum(rows.enter(c, mail) for mail in entered))

    async def note(self, letters: Iterable[DeadLetterState]) -> None:
        noted = tuple(letters)
        await self._file.write(lambda c: rows.note(c, noted))

    async def reopen(self, mail_ids: Iterable[str], *, at_ms: int) -> None:
        some = tuple(mail_ids)
        await self._file.write(lambda c: rows.reopen(c, some, at_ms))

    async def lose_letters(self, *, epoch: str) -> int:
        return await self._file.write(lambda c: rows.lose_letters(c, epoch))

    async def due(self, *, now_ms: int, limit: int, horizon_ms: int) -> list[LedgerEntry]:
        return await self._file.read(lambda c: rows.due(c, now_ms, limit, horizon_ms))

    async def mark(self, looks: Iterable[Observation]) -> set[str]:
        found = tuple(looks)
        return await self._file.write(lambda c: rows.mark(c, found))

    async def get(self, mail_id: str) -> LedgerEntry | None:
        return await self._file.read(lambda c: rows.get(c, mail_id))

    async def accepted(
        self, *, since_ms: int, until_ms: int, limit: int, after: tuple[int, str] | None = None
    ) -> list[LedgerEntry]:
        begin = after or (since_ms, "")
        return await self._file.read(lambda c: rows.accepted(c, begin, until_ms, limit))

    async def of_user(
        self, user_id: str, *, since_ms: int, until_ms: int, limit: int
    ) -> list[LedgerEntry]:
        span = (since_ms, until_ms)
        return await self._file.read(lambda c: rows.of_user(c, user_id, span, limit))

    async def by_header(self, message_id_header: str) -> list[LedgerEntry]:
        hashed = short_hash(message_id_header)
        return await self._file.read(lambda c: rows.by_header(c, hashed))

    async def by_message(self, message_id: str) -> tuple[str, str] | None:
        return await self._file.read(lambda c: rows.by_message(c, message_id))

    async def letters(self, mail_ids: Iterable[str]) -> list[DeadLetterState]:
        wanted = tuple(mail_ids)
        return await self._file.read(lambda c: rows.letters(c, wanted))

    async def totals(self) -> LedgerTotals:
        return await self._file.read(rows.totals)

    async def newest_ms(self) -> int | None:
        return await self._file.read(rows.newest_ms)

    async def forget(self, *, before_ms: int, limit: int) -> int:
        return await self._file.write(lambda c: rows.forget(c, before_ms, limit))
