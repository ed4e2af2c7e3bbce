"""Statements of the directory for application passwords.

Every function runs in a thread of SqliteFile, inside a transaction.
"""

from sqlite3 import Connection, IntegrityError
from typing import cast

from mail.errors import NotFound
from mail.ports import APP_PASSWORDS_MAX, TooManyAppPasswords
from schemas.directory import AppPassword, AppPasswordScope
from schemas.ids import UserId

_ROW = (
    "SELECT app_password_id, user_id, name, scopes, secret_sha256, created_at_ms, used_at_ms,"
    " used_protocol, used_network FROM app_password WHERE user_id = ?"
)
_BY_HASH = _ROW + " AND secret_sha256 = ?"
_NEWEST_FIRST = _ROW + " ORDER BY created_at_ms DESC, app_password_id DESC"
_ADD = "INSERT OR IGNORE INTO app_password VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COUNT = "SELECT count(*) FROM app_password WHERE user_id = ?"
_USE = (
    "UPDATE app_password SET used_at_ms = ?1, used_protocol = ?2, used_network = ?3"
    " WHERE app_password_id = ?4 AND used_at_ms < ?1"
)
_REVOKE = "DELETE FROM app_password WHERE user_id = ? AND app_password_id = ?"
_REVOKE_ALL = "DELETE FROM app_password WHERE user_id = ?"


def add(connection: Connection, row: AppPassword) -> None:
    """Insert the row, unless its id exists. Raises NotFound, TooManyAppPasswords."""
    values = (
        row.app_password_id, row.user_id, row.name, " ".join(row.scopes), row.secret_sha256,
        row.created_at_ms, row.used_at_ms, row.used_protocol, row.used_network,
    )  # fmt: skip
    try:
        added = connection.execute(_ADD, values).rowcount
    except IntegrityError as error:  # OR IGNORE does not cover foreign keys
        raise NotFound("there is no such user") from error
    count = int(connection.execute(_COUNT, (row.user_id,)).fetchone()[0])
    if added and count > APP_PASSWORDS_MAX:
        raise TooManyAppPasswords


def find(connection: Connection, user_id: UserId, secret_sha256: str) -> AppPassword | None:
    found = connection.execute(_BY_HASH, (user_id, secret_sha256)).fetchone()
    return _app_password(found) if found else None


def of_user(connection: Connection, user_id: UserId) -> list[AppPassword]:
    return [_app_password(row) for row in connection.execute(_NEWEST_FIRST, (user_id,))]


def use(connection: Connection, values: tuple[int, str, str, str]) -> None:
    """Record a use: time, protocol, network and id."""
    connection.execute(_USE, values)


def revoke(connection: Connection, user_id: UserId, app_password_id: str) -> None:
    if connection.execute(_REVOKE, (user_id, app_password_id)).rowcount == 0:
        raise NotFound("there is no such application password")


def revoke_all(connection: Connection, user_id: UserId) -> None:
    connection.execute(_REVOKE_ALL, (user_id,))


def _app_password(
    row: tuple[str, UserId, str, str, str, int, int, str, str],
) -> AppPassword:
    id_, user_id, name, scopes, secret_sha256, created_at_ms, used_at_ms, protocol, network = row
    return AppPassword(
        app_password_id=id_,
        user_id=user_id,
        name=name,
        scopes=cast("tuple[AppPasswordScope, ...]", tuple(scopes.split())),
        secret_sha256=secret_sha256,
        created_at_ms=created_at_ms,
        used_at_ms=used_at_ms,
        used_protocol=protocol,
        used_network=network,
    )
