"""Rules of the statements that write a mailbox, without a node."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mail.errors import AssignmentInDoubt
from mail.ports import MailStore
from schemas.cql.mail_store import CLAIM, MAIL, MAIL_TABLES
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
from stores.cassandra.mail_store.statements import MailboxStatements
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.session import CassandraSession, Statement
from stores.write_check import WriteCheck, always_writable
from streams.worker.assignment_lease import AssignmentLease

SOURCES = sorted(Path(str(mail_store.__file__)).parent.glob("*.py"))
SENDS = re.compile(r"session\.(?:write|define)\(")
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


def test_one_file_sends_the_statements_that_write_a_mailbox() -> None:
    """Every other file of the adapter only reads by its session."""
    found = {path.name for path in SOURCES if SENDS.search(path.read_text())}
    assert found == {"statements.py"}


class SentStatements(CassandraSession):
    """A session without a node: keeps the statements of each request; asks the check as it does."""

    def __init__(self) -> None:
        self.sent: list[Statement] = []

    async def write(
        self,
        statements: Sequence[Statement],
        *,
        check: WriteCheck = always_writable,
        one_partition: bool = False,
    ) -> None:
        check()
        self.sent += statements


async def test_statements_have_the_stamp_of_their_step_and_wait_for_the_check() -> None:
    session, now_ms = SentStatements(), 1_000
    lease = AssignmentLease(6.0, lambda: now_ms)
    statements = MailboxStatements(session, lease.check)
    row, forget = put(CLAIM, "ann", 3, "owner"), "DELETE FROM claim USING TIMESTAMP ? WHERE a = ?"
    lease.renew(now_ms)
    await statements.write([row], seq=7, generation=3)
    await statements.delete(forget, ("a",), ("b",), seq=7, generation=3)
    stamp = stamp_of(7, 3)
    assert session.sent == [
        (CLAIM.put, ("ann", 3, "owner", stamp)), (forget, (stamp, "a")), (forget, (stamp, "b")),
    ]  # fmt: skip
    session.sent.clear()
    now_ms += 6_000
    with pytest.raises(AssignmentInDoubt):
        await statements.write([row], seq=7, generation=3)
    with pytest.raises(AssignmentInDoubt):
        await statements.delete(forget, ("a",), seq=7, generation=3)
    assert session.sent == []


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
