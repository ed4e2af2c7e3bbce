"""Consistency check and rebuild of views that a test has damaged."""

import contextlib
import sqlite3
from pathlib import Path

import msgspec
import pytest

from mail.errors import Refused
from mail.mailbox.consistency_check import UNKNOWN, JournalDamaged
from mail.mailbox.list_filters import NO_FILTER
from schemas.consistency import CORRESPONDENTS, COUNTS, JOURNAL, LISTS, SETTINGS, THREADS
from schemas.mailbox import Message
from schemas.user_settings import StoredSettings
from stores.memory import MemoryMailStore
from stores.sqlite.mail_store.store import SqliteMailStore
from tests.contracts.mailbox_checks import BOTH, MailboxChecksContract, lead, rebuilt
from tests.contracts.mailboxes import Writer

LISTED = ("place", "uid", "keyword", "member")
SUMMED = ("conversation", "conversation_count")
pack = msgspec.msgpack.encode


class TestMemoryChecks(MailboxChecksContract):
    @pytest.fixture
    def store(self):
        return MemoryMailStore()


class TestSqliteChecks(MailboxChecksContract):
    @pytest.fixture
    def store(self, sqlite_mail):
        return sqlite_mail


TRUTH = {"journal", "snapshot", "snapshot_record"}
SCRATCH = {
    "rebuild", "rebuild_record", "rebuild_binding", "rebuild_correspondent", "message_counter",
}  # fmt: skip


async def test_every_view_is_compared_and_rebuilt(broken) -> None:
    """Each table is the journal, scratch, or a view whose loss is found and repaired."""
    store, writer, spoil, dump = broken
    head = msgspec.structs.replace(writer.row("one").head, message_id="<m@x>")
    row = msgspec.structs.replace(writer.row("one"), head=head)
    spoil("UPDATE message SET message = ? WHERE message_id = ?", pack(row), row.message_id)
    await rebuilt(store, "ann", BOTH)
    heads = {id_: row.head for id_, row in writer.messages.items()} | {row.message_id: head}
    views = [name for name in dump() if name not in TRUTH | SCRATCH]
    assert {
        "mailbox",
        "command",
        "message",
        "thread",
        "vanished",
        "settings",
        "correspondent",
        *LISTED,
        *SUMMED,
    } == set(views)
    for name in views:
        before = dump()
        if name == "mailbox":
            spoil("UPDATE mailbox SET seq = 7, size_bytes = 0, messages = 0, state = x'c1'")
        else:
            spoil(f"DELETE FROM {name} WHERE mailbox_key = 1")
        assert (await store.check("ann")).differences, name
        assert (await rebuilt(store, "ann", BOTH, heads)).mended, name
        assert (await store.check("ann")).differences == (), name
        if name == "message":
            rows = await store.rows("ann", list(writer.messages))
            assert rows == writer.messages | {row.message_id: row}
        elif name not in ("mailbox", "thread"):
            assert dump()[name] == before[name]


async def test_a_row_of_another_mailbox_is_never_shown(broken) -> None:
    """A list with wrong keys does not show messages of other mailboxes."""
    store, writer, spoil, _ = broken
    other = Writer("other").deliver("of another").messages[0]
    for name in LISTED:
        spoil(
            f"UPDATE {name} SET message_key = (SELECT message_key FROM message"
            " WHERE message_id = ?) WHERE mailbox_key = 1",
            other.message_id,
        )
    shown = list(await store.by_uid("ann", "inbox", after_uid=0, limit=9))
    for folder in (None, "inbox", "f1"):
        page = await store.page("ann", folder, conditions=NO_FILTER, limit=9, cursor=None)
        shown += page.messages
    for row in writer.messages.values():
        page = await store.thread("ann", row.thread_id, limit=9, cursor=None)
        shown += page.messages
    assert shown == []
    assert (await store.check("ann")).differences
    await rebuilt(store, "ann", BOTH)
    assert (await store.check("ann")).differences == ()
    assert await store.by_uid("ann", "inbox", after_uid=0, limit=9) == writer.by_uid("inbox")


async def test_the_key_of_a_lost_row_is_never_given_again(broken) -> None:
    store, writer, spoil, dump = broken
    last = max(dump()["message"])[0]
    spoil("DELETE FROM message WHERE message_key = ?", last)
    await store.commit(writer.deliver("new"))
    assert max(dump()["message"])[0] == last + 1


@pytest.fixture
async def broken(tmp_path: Path):
    """A store, its writer, and functions that damage and dump its file."""
    path = tmp_path / "mail.sqlite"
    store, writer = await SqliteMailStore.open(path), Writer()
    await lead(store, writer)
    await store.commit(Writer("other").deliver("of another"))

    def spoil(statement: str, *values: object) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            assert connection.execute(statement, values).rowcount > 0

    def dump() -> dict[str, list[tuple]]:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            names = [name for (name,) in found if name not in SCRATCH]
            return {name: sorted(connection.execute(f"SELECT * FROM {name}")) for name in names}

    yield store, writer, spoil, dump
    await store.close()


def another_row(writer: Writer, **changes: object) -> bytes:
    return pack(msgspec.structs.replace(writer.row("one"), **changes))


def statements(writer: Writer) -> list[tuple[str, tuple, str, str]]:
    """Damaging statements, each with the part and a text of the difference that it causes."""
    one = writer.id("one")
    state = pack(msgspec.structs.replace(writer.state, folders={}))
    row = "UPDATE message SET message = ? WHERE message_id = ?"
    return [
        ("UPDATE mailbox SET state = ? WHERE user_id = 'ann'", (state,), COUNTS, "folder inbox"),
        ("UPDATE mailbox SET state = ? WHERE user_id = 'ann'", (b"x",), COUNTS, "cannot be read"),
        ("UPDATE mailbox SET messages = 9 WHERE user_id = 'ann'", (), COUNTS, "the columns seq"),
        ("DELETE FROM place WHERE message_id = ?", (one,), LISTS, f"row of message {one}"),
        ("UPDATE place SET flags = 3 WHERE message_id = ?", (one,), LISTS, "is wrong or missing"),
        ("UPDATE uid SET uid = 77 WHERE mailbox_key = 1 AND uid = 1 AND folder_id = 'inbox'", (),
         LISTS, "uid 77"),
        ("DELETE FROM command WHERE mailbox_key = 1 AND seq = 4", (),
         LISTS, "has a wrong seq or no row"),
        (row, (another_row(writer, keywords=()), one), LISTS, "wrong keywords"),
        (row, (another_row(writer, places={}), one), LISTS, "wrong places"),
        (row, (another_row(writer, thread_id="t"), one), LISTS, "wrong thread_id"),
        ("UPDATE message SET mail_id = 'm' WHERE message_id = ?", (one,), LISTS, "be read"),
        ("DELETE FROM member WHERE message_id = ?", (one,), THREADS, f"row of message {one}"),
        ("UPDATE member SET thread_id = 't' WHERE message_id = ?", (one,), THREADS, "thread t:"),
        ("UPDATE member SET message_key = 77 WHERE message_id = ?", (one,), THREADS, "thread "),
        ("UPDATE place SET message_key = 77 WHERE message_id = ?", (one,), LISTS, "list row of"),
        ("UPDATE conversation SET unread = 9 WHERE message_id = ?", (one,), THREADS,
         "its conversation in all mail is wrong or missing"),
        ("UPDATE conversation SET received_at_ms = 9 WHERE message_id = ?", (one,), THREADS,
         "its conversation in folder inbox has a row at a wrong position"),
        ("UPDATE conversation_count SET threads = 9 WHERE mailbox_key = 1 AND folder_id = ''", (),
         THREADS, "the counts of conversations of all mail are wrong"),
        ("UPDATE settings SET settings = x'c1'", (), SETTINGS, "cannot be read"),
        ("UPDATE settings SET settings = ?", (pack(StoredSettings(changed_seq=10)),),
         SETTINGS, "wrong settings: theme, image_senders"),
        ("DELETE FROM correspondent WHERE mailbox_key = 1", (), CORRESPONDENTS, "1 correspondents"),
        ("UPDATE correspondent SET correspondent = x'c1' WHERE mailbox_key = 1", (),
         CORRESPONDENTS, "1 correspondents"),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(22))
async def test_what_is_spoilt_is_named_and_rebuilt(broken, number: int) -> None:
    store, writer, spoil, dump = broken
    before = dump()
    statement, values, part, words = statements(writer)[number]
    spoil(statement, *values)
    found = (await store.check("ann")).differences
    assert any(one.part == part and words in one.what for one in found), found
    assert (await store.check("other")).differences == ()
    head = writer.row("one").head
    assert (await rebuilt(store, "ann", BOTH, {writer.id("one"): head})).mended
    assert await store.load("ann") == writer.state
    assert (await store.check("ann")).differences == ()
    assert dump() == before


async def test_a_lost_row_comes_back_with_the_head_of_its_content(broken) -> None:
    store, writer, spoil, _ = broken
    spoil("DELETE FROM message WHERE message_id = ?", writer.id("two"))
    found = await store.check("ann")
    assert [kept.message_id for kept in found.without_row] == [writer.id("two")]
    await rebuilt(store, "ann", [LISTS], {writer.id("two"): writer.row("two").head})
    assert await store.message("ann", writer.id("two")) == writer.row("two")
    by_uid = await store.by_uid("ann", "inbox", after_uid=0, limit=9)
    assert [row.message_id for row in by_uid] == [row.message_id for row in writer.by_uid("inbox")]
    spoil("UPDATE message SET message = x'00' WHERE message_id = ?", writer.id("two"))
    await rebuilt(store, "ann", BOTH)
    row = await store.message("ann", writer.id("two"))
    assert row == msgspec.structs.replace(writer.row("two"), head=UNKNOWN)


async def test_a_row_that_the_journal_does_not_know_goes(broken) -> None:
    store, writer, spoil, dump = broken
    before = dump()
    stranger = another_row(writer, message_id="stranger")
    spoil("INSERT INTO message VALUES (99, 1, 'stranger', 'm', ?, NULL)", stranger)
    (found,) = (await store.check("ann")).differences
    assert "stranger has a row, but is not in the journal" in found.what
    await rebuilt(store, "ann", [LISTS])
    assert dump() == before


async def test_threads_are_bound_again(broken) -> None:
    store, writer, spoil, _ = broken
    message = writer.row("one")
    head = msgspec.structs.replace(message.head, message_id="<m@x>", references=("<p@x>",))
    row = msgspec.structs.replace(message, head=head)
    spoil("UPDATE message SET message = ? WHERE message_id = ?", pack(row), row.message_id)
    (found,) = (await store.check("ann")).differences
    assert (found.part, found.what) == (THREADS, "2 message ids have a wrong thread or no thread")
    await rebuilt(store, "ann", [LISTS])
    assert (await store.check("ann")).differences == ()
    assert isinstance(row, Message)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM journal WHERE journal_key = (1 << 32 | 3)", "after seq 2"),
        ("DELETE FROM journal WHERE journal_key = (1 << 32 | 10)", "ends at seq 9"),
        ("UPDATE journal SET entry = x'c1' WHERE journal_key = (1 << 32 | 5)", "after seq"),
        ("DELETE FROM journal WHERE journal_key = (1 << 32 | 1)", "after seq 0"),
    ],
)
async def test_a_damaged_journal_is_named_and_nothing_rebuilt_from_it(
    broken, statement: str, words: str
) -> None:
    store, _, spoil, dump = broken
    spoil(statement)
    before = dump()
    (found,) = (await store.check("ann")).differences
    assert found.part == JOURNAL
    assert words in found.what
    with pytest.raises(JournalDamaged):
        await rebuilt(store, "ann", BOTH)
    assert dump() == before


async def test_lists_wait_for_counts_that_can_be_read(broken) -> None:
    store, _, spoil, _ = broken
    spoil("UPDATE mailbox SET state = x'c1' WHERE user_id = 'ann'")
    with pytest.raises(Refused, match="rebuild the counts first"):
        await rebuilt(store, "ann", [LISTS])
    assert (await rebuilt(store, "ann", [COUNTS])).mended
