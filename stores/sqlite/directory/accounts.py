"""Statements of the directory for domains and users; aliases are in aliases.py.

Every function runs in a thread of SqliteFile, inside a transaction.
"""

from collections.abc import Callable
from sqlite3 import Connection, IntegrityError

from mail.addresses import normal_address
from mail.errors import AlreadyExists, NotFound
from mail.pagination import RowPage, row_page
from schemas.directory import Domain, Quota, User, UserRole
from schemas.ids import DomainId, UserId

_DOMAIN = (
    "SELECT domain_id, name, created_at_ms, catch_all, quota_bytes, quota_messages FROM domain"
    " WHERE {} ORDER BY name"
)
DOMAINS_AFTER = _DOMAIN.format("name > ?") + " LIMIT ?"
DOMAIN_BY_ID = _DOMAIN.format("domain_id = ?")
DOMAIN_BY_NAME = _DOMAIN.format("name = ?")
_USER = (
    "SELECT user_id, domain_id, address, disabled, created_at_ms, password_hash,"
    " quota_bytes, quota_messages, role FROM user WHERE {} ORDER BY normal_address"
)
USERS_AFTER = _USER.format("normal_address > ?") + " LIMIT ?"
_NORMAL_ADDRESS = "SELECT normal_address FROM user WHERE user_id = ?"
USER_BY_ID = _USER.format("user_id = ?")
USER_BY_ADDRESS = _USER.format("normal_address = ?")
SET_USER_QUOTA = "UPDATE user SET quota_bytes = ?, quota_messages = ? WHERE user_id = ?"
SET_DOMAIN_QUOTA = "UPDATE domain SET quota_bytes = ?, quota_messages = ? WHERE domain_id = ?"
_ADD_DOMAIN = "INSERT OR IGNORE INTO domain (domain_id, name, created_at_ms) VALUES (?, ?, ?)"
_ADD_USER = """INSERT OR IGNORE INTO user (user_id, domain_id, address, normal_address, disabled,
    created_at_ms, password_hash, role) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
SET_CATCH_ALL = "UPDATE domain SET catch_all = ? WHERE domain_id = ?"
SET_HASH = "UPDATE user SET password_hash = ? WHERE user_id = ?"
SET_ROLE = "UPDATE user SET role = ? WHERE user_id = ?"
SET_DISABLED = "UPDATE user SET disabled = ? WHERE user_id = ?"


def domains(connection: Connection, query: str, *keys: str | int) -> list[Domain]:
    return [
        Domain(
            domain_id=domain_id,
            name=name,
            created_at_ms=created_at_ms,
            catch_all=catch_all,
            quota=Quota(size_bytes=size_bytes, messages=messages),
        )
        for domain_id, name, created_at_ms, catch_all, size_bytes, messages in (
            connection.execute(query, keys)
        )
    ]


def domains_page(connection: Connection, cursor: str | None, limit: int) -> RowPage[Domain]:
    rows = domains(connection, DOMAINS_AFTER, cursor or "", limit + 1)
    return row_page(rows, limit, lambda domain: domain.name)


def users(connection: Connection, query: str, *keys: str | int) -> list[User]:
    return [_user(*row) for row in connection.execute(query, keys)]


def users_page(connection: Connection, cursor: str | None, limit: int) -> RowPage[User]:
    def key(user: User) -> str:
        return str(connection.execute(_NORMAL_ADDRESS, (user.user_id,)).fetchone()[0])

    return row_page(users(connection, USERS_AFTER, cursor or "", limit + 1), limit, key)


def _user(  # noqa: PLR0913, PLR0917  a row's columns, in the order of the query
    user_id: UserId,
    domain_id: DomainId,
    address: str,
    disabled: int,
    created_at_ms: int,
    password_hash: str,
    quota_bytes: int | None,
    quota_messages: int | None,
    role: UserRole,
) -> User:
    return User(
        user_id=user_id,
        domain_id=domain_id,
        address=address,
        disabled=bool(disabled),
        created_at_ms=created_at_ms,
        password_hash=password_hash,
        quota=Quota(size_bytes=quota_bytes, messages=quota_messages),
        role=role,
    )


def put_domain(connection: Connection, domain: Domain, name: str) -> None:
    """Insert the domain, unless it exists. Raises AlreadyExists: its id or name is taken."""
    row = (domain.domain_id, name, domain.created_at_ms)
    connection.execute(_ADD_DOMAIN, row)
    query = "SELECT 1 FROM domain WHERE domain_id = ? AND name = ?"
    if connection.execute(query, (domain.domain_id, name)).fetchone() is None:
        raise AlreadyExists(f"the domain {name} exists already")


def adding(user: User) -> Callable[[Connection], None]:
    """Return the statement that adds `user`. Raises BadAddress at once."""
    normal = normal_address(user.address)
    return lambda connection: _put_user(connection, user, normal)


def _put_user(connection: Connection, user: User, normal: str) -> None:
    """Insert the user, unless it exists.

    Raises AlreadyExists: its id or address is taken. NotFound: no such domain.
    """
    if connection.execute("SELECT 1 FROM alias WHERE address = ?", (normal,)).fetchone():
        raise AlreadyExists(f"the address {user.address} exists already")
    row = (
        user.user_id,
        user.domain_id,
        user.address,
        normal,
        int(user.disabled),
        user.created_at_ms,
        user.password_hash,
        user.role,
    )
    try:
        connection.execute(_ADD_USER, row)
    except IntegrityError as error:  # OR IGNORE does not cover foreign keys
        raise NotFound("there is no such domain") from error
    query = "SELECT 1 FROM user WHERE user_id = ? AND normal_address = ?"
    if connection.execute(query, (user.user_id, normal)).fetchone() is None:
        raise AlreadyExists(f"the address {user.address} exists already")


def change(connection: Connection, statement: str, row: tuple[str | int | None, ...]) -> None:
    if connection.execute(statement, row).rowcount == 0:
        raise NotFound("there is no such user or domain")
