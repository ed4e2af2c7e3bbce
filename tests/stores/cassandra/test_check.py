"""A check finds each fault of a mailbox, a rebuild repairs it, and neither holds the mailbox."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from mail.mailbox.consistency_check import JournalDamaged
from schemas.consistency import (
    CORRESPONDENTS,
    COUNTS,
    JOURNAL,
    LISTS,
    SETTINGS,
    THREADS,
    ConsistencyReport,
)
from schemas.cql import mail_store as tables
from schemas.mailbox import SEEN, MailboxState
from stores.cassandra.mail_store.check.findings import CheckFindings
from stores.cassandra.mail_store.check.lists import PART
from stores.cassandra.mail_store.check.mailbox_check import MailboxCheck
from stores.cassandra.mail_store.lists import ListHead, bucket_of, encode
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import RowWrite, delete, put, stamped
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.session import CassandraSession, Row
from tests.contracts.mailbox_checks import BOTH, lead, rebuilt
from tests.contracts.mailboxes import Writer
from tests.stores.cassandra.conftest import ScopedSession

pytestmark = pytest.mark.distributed
Spoil = Callable[..., Awaitable[None]]


@pytest.fixture
async def ann(cassandra_mail: CassandraMailStore) -> Writer:
    writer = Writer()
    await lead(cassandra_mail, writer)  # its last step changes the settings alone
    return writer


@pytest.fixture
def spoil(session: ScopedSession) -> Spoil:
    async def write(seq: int, *rows: RowWrite) -> None:
        await session.write(stamped(rows, seq=seq, generation=1))

    return write


def faults(ann: Writer) -> dict[str, tuple[RowWrite, str, str]]:
    """Rows that spoil a mailbox, each with the part and a text of the difference."""
    one, two = ann.row("one"), ann.row("two")
    at = (bucket_of(one.created_seq), one.received_at_ms, one.message_id)
    keywordless = encode(msgspec.structs.replace(one, keywords=()))
    head = msgspec.structs.replace(one.head, message_id="<m@x>", references=("<p@x>",))
    with_ids = encode(msgspec.structs.replace(one, head=head))
    inbox = msgspec.structs.replace(ann.state.folders["inbox"], total=9)
    state = encode(
        msgspec.structs.replace(ann.state, folders=ann.state.folders | {"inbox": inbox})
    )  # of two values with one timestamp the greater one stays
    return {
        "no row": (delete(tables.MESSAGE, "ann", one.message_id), LISTS, "has no row"),
        "unreadable": (put(tables.MESSAGE, "ann", one.message_id, b"\xc1"), LISTS, "be read"),
        "keywords": (put(tables.MESSAGE, "ann", one.message_id, keywordless), LISTS, "keywords"),
        "unbound": (put(tables.MESSAGE, "ann", one.message_id, with_ids), THREADS, "2 message ids"),
        "command": (delete(tables.COMMAND, "ann", ann.entries[3].command_id), LISTS, "wrong seq"),
        "list row": (delete(tables.LIST_ROW, "ann", "r:inbox", 0, *at), LISTS, "r:inbox: row"),
        "member": (
            delete(tables.LIST_ROW, "ann", f"t:{one.thread_id}:inbox", 0, *at), THREADS, "t:",
        ),
        "surplus": (
            put(tables.LIST_ROW, "ann", "u:inbox", 0, 0, 9, "x", 0, "", None), LISTS, "no message",
        ),
        "uid": (
            put(tables.UID, "ann", "i:f1", 0, 0, two.places["f1"], two.message_id, 1, 1, 1, 1),
            LISTS, "i:f1: row",
        ),
        "another uid": (
            put(tables.UID, "ann", "i:f1", 0, 0, 77, two.message_id, 1, 1, 1, 1), LISTS, "(77,)",
        ),
        "another bucket": (
            put(tables.LIST_ROW, "ann", "k:$flagged", 0, 0, 2**50, "x", 0, "", None),
            LISTS, "k:$flagged: row",
        ),
        "conversation": (delete(tables.CONVERSATION, "ann", "c:inbox", 0, *at), THREADS, "c:inbox"),
        "thread": (delete(tables.THREAD, "ann", one.thread_id), THREADS, "its row is wrong"),
        "head": (put(tables.LIST_HEAD, "ann", "r:inbox", encode(ListHead(rows=9, buckets=(0,)))),
                 THREADS, "the counts of list r:inbox"),
        "settings": (delete(tables.SETTINGS, "ann"), SETTINGS, "wrong settings"),
        "correspondent": (
            delete(tables.CORRESPONDENT, "ann", "ann@example.org"), CORRESPONDENTS, "1 corresp",
        ),
        "counts": (put(tables.MAILBOX, "ann", "domain", 1, state), COUNTS, "folder inbox"),
    }  # fmt: skip


NAMES = (
    "no row", "unreadable", "keywords", "unbound", "command", "list row", "member", "surplus",
    "uid", "another uid", "another bucket", "conversation", "thread", "head", "settings",
    "correspondent", "counts",
)  # fmt: skip


def test_every_fault_is_tried() -> None:
    writer = Writer()
    for _ in range(4):
        writer.deliver("one")
    writer.deliver("two", folder="f1")
    assert set(NAMES) == set(faults(writer))


async def bare_rows(spoil: Spoil, seq: int) -> None:
    """A message of no entry, and a row of its id."""
    stranger = msgspec.structs.replace(Writer().deliver("x").messages[0], message_id="0stranger")
    await spoil(
        seq,
        put(tables.MESSAGE, "ann", "0stranger", encode(stranger)),
        put(tables.MESSAGE_ID, "ann", "0", "0stranger"),
    )


@pytest.mark.parametrize("name", NAMES)
async def test_each_fault_is_named_and_repaired(
    cassandra_mail: CassandraMailStore, ann: Writer, spoil: Spoil, name: str
) -> None:
    store = cassandra_mail
    row, part, words = faults(ann)[name]
    await spoil(ann.state.seq, row)
    found = (await store.check("ann")).differences
    assert any(one.part == part and words in one.what for one in found), found
    heads = {id_: row.head for id_, row in ann.messages.items()}
    assert (await rebuilt(store, "ann", BOTH, heads)).mended
    assert (await store.check("ann")) == ConsistencyReport()
    assert await store.load("ann") == ann.state
    if name != "unbound":
        assert await store.rows("ann", list(ann.messages)) == ann.messages


async def test_a_message_of_no_entry_goes(
    cassandra_mail: CassandraMailStore, ann: Writer, spoil: Spoil
) -> None:
    await bare_rows(spoil, ann.state.seq)
    (found,) = (await cassandra_mail.check("ann")).differences
    assert "0stranger has a row, but is not in the journal" in found.what
    assert (await rebuilt(cassandra_mail, "ann", BOTH)).mended == 1
    assert (await cassandra_mail.check("ann")) == ConsistencyReport()


@pytest.mark.parametrize("folded", [0, 4])
@pytest.mark.parametrize("seq", [3, 6, 10])
async def test_a_damaged_journal_is_named_and_nothing_is_written(
    cassandra_mail: CassandraMailStore, ann: Writer, spoil: Spoil, seq: int, folded: int
) -> None:
    if folded:
        await cassandra_mail.fold("ann", before_ms=2**50, to_seq=folded)
    seq = max(seq, folded + 1)
    at = ann.messages[ann.id("one")]
    await spoil(
        ann.state.seq,
        delete(tables.JOURNAL, "ann", 0, seq),
        delete(tables.MESSAGE, "ann", at.message_id),
    )
    (found,) = (await cassandra_mail.check("ann")).differences
    assert found.part == JOURNAL
    with pytest.raises(JournalDamaged):
        await rebuilt(cassandra_mail, "ann", BOTH)
    assert await cassandra_mail.message("ann", at.message_id) is None


class Meanwhile(ScopedSession):
    """Calls `steps` once, when the first of the message rows are to be read."""

    steps: Callable[[], Awaitable[None]] | None = None

    async def read(self, cql: str, *values: Any) -> list[Row]:
        if "FROM message_id" in cql and self.steps is not None:
            steps, self.steps = self.steps, None
            await steps()
        return await super().read(cql, *values)


async def test_steps_during_a_check_are_no_differences(
    connected: CassandraSession, session: ScopedSession, ann: Writer
) -> None:
    writes = CassandraMailStore(session)
    reading = Meanwhile.of(connected, session.scope)
    assert isinstance(reading, Meanwhile)

    async def steps() -> None:
        for commit in (
            ann.deliver("late", thread="one"), ann.destroy("one"), ann.move("two", "archive"),
            ann.deliver("more"), ann.mark("more", SEEN), ann.change_settings(theme="light"),
        ):  # fmt: skip
            await writes.commit(commit)

    reading.steps = steps
    assert (await CassandraMailStore(reading).check("ann")) == ConsistencyReport()
    assert reading.steps is None
    assert (await CassandraMailStore(reading).check("ann")) == ConsistencyReport()


class Counted(ScopedSession):
    """Counts the rows of the largest answer."""

    largest = 0

    async def read(self, cql: str, *values: Any) -> list[Row]:
        rows = await super().read(cql, *values)
        self.largest = max(self.largest, len(rows))
        return rows

    async def read_at_once(self, cql: str, *values: Any) -> list[Row]:
        rows = await super().read_at_once(cql, *values)
        self.largest = max(self.largest, len(rows))
        return rows


async def test_no_answer_has_more_than_a_part_of_the_mailbox(
    connected: CassandraSession, session: ScopedSession
) -> None:
    """What is kept of the answers is sorted in files: tests/stores/test_sorted_rows.py."""
    number, writer = 2 * PART // 3 * 2, Writer()
    for each in range(number):
        await CassandraMailStore(session).commit(writer.deliver(str(each), thread=str(each % 7)))
    reading = Counted.of(connected, session.scope)
    assert isinstance(reading, Counted)
    found = CheckFindings(BOTH)
    await MailboxCheck(MailboxReads(reading), "ann", found, run_max=100).at_stored_state()
    assert found.findings.report == ConsistencyReport()
    assert 0 < reading.largest <= PART < number


async def test_a_mailbox_without_a_row_is_empty(cassandra_mail: CassandraMailStore) -> None:
    assert await cassandra_mail.check("nobody") == ConsistencyReport()
    assert await cassandra_mail.load("nobody") == MailboxState()
