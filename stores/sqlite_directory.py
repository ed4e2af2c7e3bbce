"""Directory in one SQLite file, written by the command line and by api, read by every process.

Nothing is cached: what a process wrote, the next read of any process sees.
"""

from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection, IntegrityError
from typing import Self

from mail.addresses import normal_address, normal_domain
from mail.errors import AlreadyExists, NotFound
from mail.ports import Directory
from schemas.records import Domain, Session, User
from schemas.sqlite import DIRECTORY
from stores.sqlite_base import SqliteConfig
from stores.sqlite_threads import SqliteFile

_DOMAINS = "SELECT domain_id, name, created_at_ms FROM domain ORDER BY name"
_DOMAIN_BY_NAME = "SELECT domain_id, name, created_at_ms FROM domain WHERE name = ?"
_USER = (
    "SELECT user_id, domain_id, address, disabled, created_at_ms, password_hash FROM user"
    " WHERE {} ORDER BY normal_address"
)
_USERS = _USER.format("true")
_USER_BY_ID = _USER.format("user_id = ?")
_USER_BY_ADDRESS = _USER.format("normal_address = ?")


class SqliteDirectory(Directory):
    """Made by `open`; `close` it."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    @classmethod
    async def open(cls, path: Path, config: SqliteConfig | None = None) -> Self:
        """Fatal: a newer version's file. StoreUnavailable: it cannot be opened."""
        return cls(await SqliteFile.open(path, DIRECTORY, config or SqliteConfig()))

    async def close(self) -> None:
        await self._file.close()

    async def add_domain(self, domain: Domain, postmaster: User) -> None:
        name = normal_domain(domain.name)
        add_postmaster = _adding(postmaster)

        def work(connection: Connection) -> None:
            _put_domain(connection, domain, name)
            add_postmaster(connection)

        await self._file.write(work)

    async def domains(self) -> list[Domain]:
        return await self._file.read(lambda c: _domains(c, _DOMAINS))

    async def domain(self, name: str) -> Domain | None:
        normal = normal_domain(name)
        found = await self._file.read(lambda c: _domains(c, _DOMAIN_BY_NAME, normal))
        return found[0] if found else None

    async def add_user(self, user: User) -> None:
        await self._file.write(_adding(user))

    async def users(self) -> list[User]:
        return await self._file.read(lambda c: _users(c, _USERS))

    async def user(self, user_id: str) -> User | None:
        found = await self._file.read(lambda c: _users(c, _USER_BY_ID, user_id))
        return found[0] if found else None

    async def user_by_address(self, address: str) -> User | None:
        normal = normal_address(address)
        found = await self._file.read(lambda c: _users(c, _USER_BY_ADDRESS, normal))
        return found[0] if found else None

    async def set_password(self, user_id: str, password_hash: str) -> None:
        def work(connection: Connection) -> None:
            row = (password_hash, user_id)
            _change(connection, "UPDATE user SET password_hash = ? WHERE user_id = ?", row)
            _end_sessions(connection, user_id)

        await self._file.write(work)

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        def work(connection: Connection) -> None:
            row = (int(disabled), user_id)
            _change(connection, "UPDATE user SET disabled = ? WHERE user_id = ?", row)
            if disabled:
                _end_sessions(connection, user_id)

        await self._file.write(work)

    async def add_session(self, session: Session) -> None:
        row = (session.token_sha256, session.user_id, session.expires_at_ms)
        await self._file.write(lambda c: _put_session(c, row))

    async def session(self, token_sha256: str) -> Session | None:
        return await self._file.read(lambda c: _session(c, token_sha256))

    async def end_session(self, token_sha256: str) -> None:
        statement = "DELETE FROM session WHERE token_sha256 = ?"
        await self._file.write(lambda c: c.execute(statement, (token_sha256,)).rowcount)

    async def prune_sessions(self, now_ms: int) -> int:
        statement = "DELETE FROM session WHERE expires_at_ms <= ?"
        return await self._file.write(lambda c: c.execute(statement, (now_ms,)).rowcount)

    async def setting(self, name: str) -> str | None:
        query = "SELECT value FROM setting WHERE name = ?"
        found = await self._file.read(lambda c: c.execute(query, (name,)).fetchone())
        return str(found[0]) if found else None

    async def set_setting(self, name: str, value: str) -> None:
        statement = "INSERT OR REPLACE INTO setting VALUES (?, ?)"
        await self._file.write(lambda c: c.execute(statement, (name, value)).rowcount)


def _domains(connection: Connection, query: str, *keys: str) -> list[Domain]:
    found = connection.execute(query, keys)
    return [Domain(domain_id=id_, name=name, created_at_ms=at_ms) for id_, name, at_ms in found]


def _users(connection: Connection, query: str, *keys: str) -> list[User]:
    return [
        User(
            user_id=user_id,
            domain_id=domain_id,
            address=address,
            disabled=bool(disabled),
            created_at_ms=created_at_ms,
            password_hash=password_hash,
        )
        for user_id, domain_id, address, disabled, created_at_ms, password_hash in (
            connection.execute(query, keys)
        )
    ]


def _put_domain(connection: Connection, domain: Domain, name: str) -> None:
    """The same domain again changes nothing; id and name belong together for ever."""
    row = (domain.domain_id, name, domain.created_at_ms)
    connection.execute("INSERT OR IGNORE INTO domain VALUES (?, ?, ?)", row)
    query = "SELECT 1 FROM domain WHERE domain_id = ? AND name = ?"
    if connection.execute(query, (domain.domain_id, name)).fetchone() is None:
        raise AlreadyExists(f"the domain {name} exists already")


def _adding(user: User) -> Callable[[Connection], None]:
    """The work of adding `user`. BadAddress, here and now."""
    normal = normal_address(user.address)
    return lambda connection: _put_user(connection, user, normal)


def _put_user(connection: Connection, user: User, normal: str) -> None:
    """The same user again changes nothing; id and address belong together."""
    row = (
        user.user_id,
        user.domain_id,
        user.address,
        normal,
        int(user.disabled),
        user.created_at_ms,
        user.password_hash,
    )
    try:
        connection.execute("INSERT OR IGNORE INTO user VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    except IntegrityError as error:  # INSERT OR IGNORE ignores no foreign key
        raise NotFound("there is no such domain") from error
    query = "SELECT 1 FROM user WHERE user_id = ? AND normal_address = ?"
    if connection.execute(query, (user.user_id, normal)).fetchone() is None:
        raise AlreadyExists(f"the address {user.address} exists already")


def _change(connection: Connection, statement: str, row: tuple[str | int, ...]) -> None:
    if connection.execute(statement, row).rowcount == 0:
        raise NotFound("there is no such user")


def _end_sessions(connection: Connection, user_id: str) -> None:
    connection.execute("DELETE FROM session WHERE user_id = ?", (user_id,))


def _put_session(connection: Connection, row: tuple[str, str, int]) -> None:
    try:
        connection.execute("INSERT OR IGNORE INTO session VALUES (?, ?, ?)", row)
    except IntegrityError as error:
        raise NotFound("there is no such user") from error


def _session(connection: Connection, token_sha256: str) -> Session | None:
    found = connection.execute(
        "SELECT user_id, expires_at_ms FROM session WHERE token_sha256 = ?", (token_sha256,)
    ).fetchone()
    if found is None:
        return None
    return Session(token_sha256=token_sha256, user_id=found[0], expires_at_ms=found[1])
