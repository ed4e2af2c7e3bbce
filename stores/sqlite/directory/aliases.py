"""Statements of the directory for aliases and groups, and for the lookup of addresses.

Every function runs in a thread of SqliteFile, inside a transaction. Addresses are in normal form.
"""

from collections.abc import Sequence
from sqlite3 import Connection, IntegrityError

from mail.errors import AlreadyExists, NotFound
from mail.pagination import RowPage, row_page
from schemas.directory import Alias, User
from stores.sqlite.directory import accounts

_ALIAS = "SELECT address, domain_id, is_group, created_at_ms FROM alias WHERE {} ORDER BY address"
_AFTER = _ALIAS.format("address > ?") + " LIMIT ?"
_BY_ADDRESS = _ALIAS.format("address = ?")
_TARGETS = "SELECT target FROM alias_target WHERE address = ? ORDER BY target"
_LEADING = """SELECT address FROM alias_target WHERE target = ?
    UNION ALL SELECT '*@' || name FROM domain WHERE catch_all = ? ORDER BY 1"""


def find(connection: Connection, addresses: Sequence[str]) -> dict[str, User | Alias]:
    rows: dict[str, User | Alias] = {}
    for address in addresses:
        users = accounts.users(connection, accounts.USER_BY_ADDRESS, address)
        for row in users or _aliases(connection, _BY_ADDRESS, address):
            rows[address] = row
    return rows


def page(connection: Connection, cursor: str | None, limit: int) -> RowPage[Alias]:
    rows = _aliases(connection, _AFTER, cursor or "", limit + 1)
    return row_page(rows, limit, lambda alias: alias.address)


def add(connection: Connection, alias: Alias) -> None:
    """Insert an alias, or a group, or add targets to an existing group.

    Raises AlreadyExists: the address is taken, or is an alias to another target. NotFound: no such
    domain.
    """
    row = (alias.address, alias.domain_id, int(alias.is_group), alias.created_at_ms)
    try:
        connection.execute("INSERT OR IGNORE INTO alias VALUES (?, ?, ?, ?)", row)
    except IntegrityError as error:  # OR IGNORE does not cover foreign keys
        raise NotFound("there is no such domain") from error
    connection.executemany(
        "INSERT OR IGNORE INTO alias_target VALUES (?, ?)",
        [(alias.address, target) for target in alias.targets],
    )
    (made,) = _aliases(connection, _BY_ADDRESS, alias.address)
    grown = made.is_group or made.targets == alias.targets
    taken = accounts.users(connection, accounts.USER_BY_ADDRESS, alias.address)
    if taken or made.is_group != alias.is_group or not grown:
        raise AlreadyExists(f"the address {alias.address} exists already")


def remove(connection: Connection, address: str) -> None:
    if connection.execute("DELETE FROM alias WHERE address = ?", (address,)).rowcount == 0:
        raise NotFound("there is no such alias")


def remove_target(connection: Connection, address: str, target: str) -> None:
    statement = "DELETE FROM alias_target WHERE address = ? AND target = ?"
    if connection.execute(statement, (address, target)).rowcount == 0:
        raise NotFound("it leads to no such address")


def addresses_leading_to(connection: Connection, target: str) -> list[str]:
    return [address for (address,) in connection.execute(_LEADING, (target, target))]


def _aliases(connection: Connection, query: str, *keys: str | int) -> list[Alias]:
    return [
        Alias(
            address=address,
            domain_id=domain_id,
            is_group=bool(is_group),
            targets=tuple(target for (target,) in connection.execute(_TARGETS, (address,))),
            created_at_ms=created_at_ms,
        )
        for address, domain_id, is_group, created_at_ms in connection.execute(query, keys)
    ]
