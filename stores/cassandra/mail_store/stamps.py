"""Rows that a step writes or deletes, and the timestamps of their statements.

The timestamp is `seq << 20 | generation`. So the rows of a step replace those of all steps before
it, in any order of arrival, and of two writers of one step the owner of the mailbox wins. A step
never deletes and writes the same row, because with equal timestamps the deletion would win.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from schemas.cql.mail_store import MAIL_TABLES
from schemas.cql.tables import Table
from stores.cassandra.session import Statement

GENERATION_BITS = 20
GENERATION_MAX = (1 << GENERATION_BITS) - 1
SEQ_MAX = (1 << (63 - GENERATION_BITS)) - 1


class RowWrite(msgspec.Struct, frozen=True, array_like=True):
    """A row to write, or for `is_delete` the first columns of the key of rows to delete."""

    table: str
    values: tuple[Any, ...]
    is_delete: bool = False


def put(table: Table, *values: Any) -> RowWrite:
    return RowWrite(table.name, values)


def delete(table: Table, *key: Any) -> RowWrite:
    return RowWrite(table.name, key, is_delete=True)


def stamp_of(seq: int, generation: int) -> int:
    """The timestamp of a statement. Raises ValueError: out of range."""
    if not 0 <= seq <= SEQ_MAX or not 0 < generation <= GENERATION_MAX:
        msg = f"seq {seq}, generation {generation}: no timestamp"
        raise ValueError(msg)
    return seq << GENERATION_BITS | generation


def stamped(writes: Iterable[RowWrite], *, seq: int, generation: int) -> list[Statement]:
    """The statements of `writes`. Every statement that writes a mailbox is made here."""
    stamp = stamp_of(seq, generation)
    statements: list[Statement] = []
    for write in writes:
        table = MAIL_TABLES[write.table]
        if write.is_delete:
            statements.append((table.delete(len(write.values)), (stamp, *write.values)))
        else:
            statements.append((table.put, (*write.values, stamp)))
    return statements
