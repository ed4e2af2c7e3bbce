"""Directory in one SQLite file, written by the command line and by api, read by every process.

Nothing is cached: what a process wrote, the next read of any process sees.
"""

from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Self

from mail.addresses import normal_address, normal_domain
from mail.pagination import NEWEST, ListPosition, RowPage, check_limit
from mail.ports import Directory
from schemas.directory import (
    Alias,
    AppPassword,
    Domain,
    OperatorAct,
    Quota,
    Session,
    SignIn,
    User,
    UserRole,
)
from schemas.ids import DomainId, UserId
from schemas.sqlite.directory import DIRECTORY
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.directory import accounts as rows
from stores.sqlite.directory import acts as log_of_acts
from stores.sqlite.directory import aliases, app_passwords
from stores.sqlite.directory import sessions as signing
from stores.sqlite.group_commit import SqliteFile


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
        add_postmaster = rows.adding(postmaster)

        def work(connection: Connection) -> None:
            rows.put_domain(connection, domain, name)
            add_postmaster(connection)

        await self._file.write(work)

    async def list_domains(self, *, cursor: str | None = None, limit: int) -> RowPage[Domain]:
        check_limit(limit)
        return await self._file.read(lambda c: rows.domains_page(c, cursor, limit))

    async def domain(self, name: str) -> Domain | None:
        normal = normal_domain(name)
        found = await self._file.read(lambda c: rows.domains(c, rows.DOMAIN_BY_NAME, normal))
        return found[0] if found else None

    async def domain_by_id(self, domain_id: DomainId) -> Domain | None:
        found = await self._file.read(lambda c: rows.domains(c, rows.DOMAIN_BY_ID, domain_id))
        return found[0] if found else None

    async def set_catch_all(self, domain_id: DomainId, address: str) -> None:
        await self._file.write(lambda c: rows.change(c, rows.SET_CATCH_ALL, (address, domain_id)))

    async def set_domain_quota(self, domain_id: DomainId, quota: Quota) -> None:
        row = (quota.size_bytes, quota.messages, domain_id)
        await self._file.write(lambda c: rows.change(c, rows.SET_DOMAIN_QUOTA, row))

    async def add_user(self, user: User) -> None:
        await self._file.write(rows.adding(user))

    async def set_user_quota(self, user_id: UserId, quota: Quota) -> None:
        row = (quota.size_bytes, quota.messages, user_id)
        await self._file.write(lambda c: rows.change(c, rows.SET_USER_QUOTA, row))

    async def list_users(self, *, cursor: str | None = None, limit: int) -> RowPage[User]:
        check_limit(limit)
        return await self._file.read(lambda c: rows.users_page(c, cursor, limit))

    async def user(self, user_id: UserId) -> User | None:
        found = await self._file.read(lambda c: rows.users(c, rows.USER_BY_ID, user_id))
        return found[0] if found else None

    async def user_by_address(self, address: str) -> User | None:
        normal = normal_address(address)
        found = await self._file.read(lambda c: rows.users(c, rows.USER_BY_ADDRESS, normal))
        return found[0] if found else None

    async def find(self, addresses: Sequence[str]) -> dict[str, User | Alias]:
        return await self._file.read(lambda c: aliases.find(c, addresses))

    async def list_aliases(self, *, cursor: str | None = None, limit: int) -> RowPage[Alias]:
        check_limit(limit)
        return await self._file.read(lambda c: aliases.page(c, cursor, limit))

    async def add_alias(self, alias: Alias) -> None:
        await self._file.write(lambda c: aliases.add(c, alias))

    async def remove_alias(self, address: str) -> None:
        await self._file.write(lambda c: aliases.remove(c, address))

    async def remove_target(self, address: str, target: str) -> None:
        await self._file.write(lambda c: aliases.remove_target(c, address, target))

    async def addresses_leading_to(self, target: str) -> list[str]:
        return await self._file.read(lambda c: aliases.addresses_leading_to(c, target))

    async def set_password(
        self,
        user_id: UserId,
        password_hash: str,
        *,
        keep_session: str | None = None,
        revoke_app_passwords: bool = False,
    ) -> None:
        def work(connection: Connection) -> None:
            rows.change(connection, rows.SET_HASH, (password_hash, user_id))
            signing.end_sessions(connection, user_id, but=keep_session)
            if revoke_app_passwords:
                app_passwords.revoke_all(connection, user_id)

        await self._file.write(work)

    async def set_disabled(self, user_id: UserId, *, disabled: bool) -> None:
        def work(connection: Connection) -> None:
            rows.change(connection, rows.SET_DISABLED, (int(disabled), user_id))
            if disabled:
                signing.end_sessions(connection, user_id)

        await self._file.write(work)

    async def set_role(self, user_id: UserId, role: UserRole) -> None:
        await self._file.write(lambda c: rows.change(c, rows.SET_ROLE, (role, user_id)))

    async def add_app_password(self, app_password: AppPassword) -> None:
        await self._file.write(lambda c: app_passwords.add(c, app_password))

    async def app_password(self, user_id: UserId, secret_sha256: str) -> AppPassword | None:
        return await self._file.read(lambda c: app_passwords.find(c, user_id, secret_sha256))

    async def app_passwords(self, user_id: UserId) -> list[AppPassword]:
        return await self._file.read(lambda c: app_passwords.of_user(c, user_id))

    async def use_app_password(
        self, app_password_id: str, *, at_ms: int, protocol: str, network: str
    ) -> None:
        values = (at_ms, protocol, network, app_password_id)
        await self._file.write(lambda c: app_passwords.use(c, values))

    async def revoke_app_password(self, user_id: UserId, app_password_id: str) -> None:
        await self._file.write(lambda c: app_passwords.revoke(c, user_id, app_password_id))

    async def add_session(self, session: Session) -> None:
        await self._file.write(lambda c: signing.put_session(c, session))

    async def session(self, token_sha256: str) -> Session | None:
        return await self._file.read(lambda c: signing.session(c, token_sha256))

    async def session_and_user(self, token_sha256: str) -> tuple[Session, User] | None:
        def read(connection: Connection) -> tuple[Session, User] | None:
            found = signing.session(connection, token_sha256)
            if found is None:
                return None
            (user,) = rows.users(connection, rows.USER_BY_ID, found.user_id)  # by foreign key
            return found, user

        return await self._file.read(read)

    async def sessions(self, user_id: UserId, *, limit: int) -> list[Session]:
        return await self._file.read(lambda c: signing.sessions(c, user_id, limit))

    async def use_session(self, token_sha256: str, *, at_ms: int) -> None:
        await self._file.write(lambda c: signing.use_session(c, token_sha256, at_ms))

    async def end_session(self, token_sha256: str) -> None:
        statement = "DELETE FROM session WHERE token_sha256 = ?"
        await self._file.write(lambda c: c.execute(statement, (token_sha256,)).rowcount)

    async def session_ends(self, after: int | None) -> tuple[list[str], int]:
        return await self._file.read(lambda c: signing.session_ends(c, after))

    async def prune_sessions(self, now_ms: int) -> int:
        return await self._file.write(lambda c: signing.prune_sessions(c, now_ms))

    async def add_sign_in(self, sign_in: SignIn) -> None:
        await self._file.write(lambda c: signing.put_sign_in(c, sign_in))

    async def sign_ins(
        self, user_id: UserId, *, limit: int, before: ListPosition = NEWEST
    ) -> list[SignIn]:
        return await self._file.read(lambda c: signing.sign_ins(c, user_id, before, limit))

    async def sign_in_sources(self, user_id: UserId, *, since_ms: int) -> list[tuple[str, str]]:
        return await self._file.read(lambda c: signing.sources(c, user_id, since_ms))

    async def prune_sign_ins(self, *, before_ms: int) -> int:
        statement = "DELETE FROM sign_in WHERE at_ms < ?"
        return await self._file.write(lambda c: c.execute(statement, (before_ms,)).rowcount)

    async def add_act(self, act: OperatorAct) -> None:
        await self._file.write(lambda c: log_of_acts.add(c, act))

    async def end_act(self, act_id: str, outcome: str) -> None:
        await self._file.write(lambda c: log_of_acts.end(c, act_id, outcome))

    async def acts(self, *, limit: int, before: ListPosition = NEWEST) -> list[OperatorAct]:
        return await self._file.read(lambda c: log_of_acts.newest(c, before, limit))

    async def prune_acts(self, *, before_ms: int) -> int:
        statement = "DELETE FROM operator_act WHERE at_ms < ?"
        return await self._file.write(lambda c: c.execute(statement, (before_ms,)).rowcount)

    async def setting(self, name: str) -> str | None:
        query = "SELECT value FROM setting WHERE name = ?"
        found = await self._file.read(lambda c: c.execute(query, (name,)).fetchone())
        return str(found[0]) if found else None

    async def settings(self, prefix: str) -> dict[str, str]:
        query = "SELECT name, value FROM setting WHERE substr(name, 1, ?) = ?"
        key = (len(prefix), prefix)
        return dict(await self._file.read(lambda c: c.execute(query, key).fetchall()))

    async def exchange_setting(self, name: str, before: str | None, after: str) -> bool:
        def exchange(connection: Connection) -> bool:
            query = "SELECT value FROM setting WHERE name = ?"
            (known,) = connection.execute(query, (name,)).fetchone() or (None,)
            if known != before:
                return False
            connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, after))
            return True

        return await self._file.write(exchange)

    async def remove_setting(self, name: str) -> None:
        statement = "DELETE FROM setting WHERE name = ?"
        await self._file.write(lambda c: c.execute(statement, (name,)).rowcount)

    async def set_setting(self, name: str, value: str) -> None:
        statement = "INSERT OR REPLACE INTO setting VALUES (?, ?)"
        await self._file.write(lambda c: c.execute(statement, (name, value)).rowcount)
