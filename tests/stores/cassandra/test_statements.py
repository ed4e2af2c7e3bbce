"""Rules of the statements that write a mailbox, without a node."""

import re
from pathlib import Path
from typing import Any

import pytest

from mail.ports import MailStore
from schemas.cql.mail_store import MAIL, MAIL_TABLES
from schemas.cql.tables import CreateTable
from stores.cassandra import mail_store
from stores.cassandra.mail_store.stamps import (
    GENERATION_MAX,
    SEQ_MAX,
    delete,
    put,
    stamp_of,
    stamped,
)
from stores.cassandra.mail_store.store import CassandraMailStore

SOURCES = sorted(Path(str(mail_store.__file__)).parent.glob("*.py"))
WRITES = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM|BEGIN BATCH)\b[^\"']*")


@pytest.mark.parametrize("table", MAIL_TABLES.values(), ids=lambda table: table.name)
def test_every_statement_of_a_table_has_a_timestamp(table) -> None:
    row = (*table.key, *table.values)
    writes = [put(table, *row), delete(table, *table.key), delete(table, *table.partition)]
    stamp = stamp_of(7, 3)
    assert stamp == 7 << 20 | 3
    for cql, values in stamped(writes, seq=7, generation=3):
        assert cql.count("USING TIMESTAMP ?") == 1
        assert cql.count("?") == len(values)
        assert values[0 if cql.startswith("DELETE") else -1] == stamp


def test_no_other_statement_writes_a_mailbox() -> None:
    """Statements that are not made from a table have timestamps too; no statement has IF."""
    for path in SOURCES:
        for statement in WRITES.findall(path.read_text()):
            assert "USING TIMESTAMP ?" in statement, f"{path.name}: {statement}"
            assert not re.search(r"\bIF\b", statement), f"{path.name}: {statement}"


def test_tables_have_no_counters_and_no_collections_that_are_not_frozen() -> None:
    for statement in MAIL[0]:
        assert isinstance(statement, CreateTable)
        assert "counter" not in statement.columns
        assert not re.search(r"(?<!frozen<)\b(?:list|set|map)<", statement.columns)


def is_protocol(owner: Any) -> bool:
    return bool(getattr(owner, "_is_protocol", False))


def test_the_adapter_has_every_method_of_the_port() -> None:
    """A method that is missing would be that of the protocol, which returns None."""
    names = {name for name in dir(MailStore) if not name.startswith("_")}
    assert "commit" in names
    missing = {
        name
        for name in names
        for owner in [next(each for each in CassandraMailStore.__mro__ if name in vars(each))]
        if is_protocol(owner)
    }
    assert missing == set()


def test_the_order_of_timestamps_is_that_of_seqs_then_generations() -> None:
    pairs = [(0, 1), (0, GENERATION_MAX), (1, 1), (1, 2), (SEQ_MAX, GENERATION_MAX)]
    stamps = [stamp_of(*pair) for pair in pairs]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] < 2**63
    for seq, generation in ((-1, 1), (SEQ_MAX + 1, 1), (1, 0), (1, GENERATION_MAX + 1)):
        with pytest.raises(ValueError, match="no timestamp"):
            stamp_of(seq, generation)
