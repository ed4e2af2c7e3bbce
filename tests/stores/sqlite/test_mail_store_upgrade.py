"""Upgrade of mail.sqlite from the first version: complete, and usable afterwards."""

import contextlib
import sqlite3

import msgspec
import pytest

from mail.mailbox.journal_replay import JournalReplay
from mail.mailbox.list_filters import NO_FILTER
from mail.ports import Commit
from schemas.conversations import ConversationFilter, ConversationPage
from schemas.events.legacy import MailboxChangedV1
from schemas.mail import HeaderSummary
from schemas.mailbox import FLAGGED, SEEN, Filter, FolderCounts, MailboxState, Page
from schemas.sqlite.mail_store import JOURNAL_KEY_SHIFT, MAIL
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.group_commit import SqliteFile
from stores.sqlite.mail_store.store import MIGRATIONS, SqliteMailStore
from tests.contracts.mailboxes import Writer

encode = msgspec.msgpack.encode
NEW_TABLES = ("place", "conversation", "conversation_count", "member")  # changed by schema 6


class StateV1(msgspec.Struct, kw_only=True):
    seq: int
    epoch: str
    partition: int
    offset: int
    folders: dict[str, FolderCounts]


def write_v1(connection, key: int, commit: Commit) -> None:
    """Write a commit as the first version did, without the lists, which the upgrade rebuilds."""
    entry, state = commit.entry, commit.state
    (change,), (row,) = entry.changes, commit.messages
    told = {
        name: getattr(entry, name)
        for name in ("user_id", "domain_id", "seq", "command_id", "position", "folders", "at_ms")
    }
    old = MailboxChangedV1(
        **told, change=change.change, message_id=change.message_id, places=change.places,
        keywords=change.keywords, delivered=change.delivered,
    )  # fmt: skip
    before = StateV1(
        seq=state.seq, epoch=state.epoch, partition=state.partition, offset=state.offset,
        folders=state.folders,
    )  # fmt: skip
    put = connection.execute
    put(
        "INSERT OR REPLACE INTO mailbox VALUES (?, ?, ?, ?)",
        (key, entry.user_id, entry.seq, encode(before)),
    )
    put("INSERT INTO command VALUES (?, ?, ?)", (key, entry.command_id, entry.seq))
    put(
        "INSERT INTO journal VALUES (?, ?)",
        (key << JOURNAL_KEY_SHIFT | entry.seq, encode(old)),
    )
    raw = msgspec.to_builtins(row)
    del raw["thread_id"]
    put(
        "INSERT INTO message (mailbox_key, message_id, mail_id, message) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (mailbox_key, message_id) DO UPDATE SET message = excluded.message",
        (key, row.message_id, row.mail_id, encode(raw)),
    )


def told_apart(commit: Commit, message_id: str, *references: str) -> Commit:
    """Build a mail with message ids in its header."""
    (row,) = commit.messages
    head = msgspec.structs.replace(row.head, message_id=message_id, references=references)
    return msgspec.structs.replace(commit, messages=(msgspec.structs.replace(row, head=head),))


@pytest.fixture
async def left(tmp_path):
    """Ann has a conversation of two and a single mail, one of them read; Bob has one mail."""
    ann, bob = Writer("ann"), Writer("bob")
    made = [
        (1, told_apart(ann.deliver("a"), "first@x")),
        (2, told_apart(bob.deliver("a"), "first@x")),
        (1, told_apart(ann.deliver("b", folder="archive"), "second@x", "first@x")),
        (1, told_apart(ann.deliver("c", folder="junk"), "third@x")),
    ]
    file = await SqliteFile.open(tmp_path / "mail.sqlite", (MAIL[0],), SqliteConfig())
    for key, commit in made:
        await file.write(lambda c, key=key, commit=commit: write_v1(c, key, commit))
    await file.close()
    return ann, bob


async def test_all_that_was_there_is_there(tmp_path, left):
    ann, bob = left
    for _ in range(2):  # the second open has nothing to upgrade
        store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
        for writer in left:
            assert await store.load(writer.user_id) == writer.state
            assert await store.usage(writer.user_id) == writer.state.usage
        assert (await store.domain_usage("domain")).messages == 4
        page = await store.page("ann", None, conditions=Filter(unread=True), limit=9, cursor=None)
        assert {row.message_id for row in page.messages} == {ann.id("a"), ann.id("b")}
        assert [r.message_id for r in await store.by_uid("ann", "junk", after_uid=0, limit=9)] == [
            ann.id("c")
        ]
        (sender,) = await store.correspondents("ann", "ann@", limit=9)
        assert (sender.received, sender.sent) == (2, 0)  # without the message in junk
        assert (await store.settings("ann")).changed_seq == 0
        threads = {name: await thread(store, ann, name) for name in "abc"}
        assert threads["a"] == threads["b"] != threads["c"]
        assert "" not in {*threads.values(), await thread(store, bob, "a")}
        await store.close()


async def test_the_journal_reads_as_if_it_were_written_today(tmp_path, left):
    ann, _ = left
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    entries = await store.journal("ann", since_seq=0, limit=9)
    told = JournalReplay(MailboxState(), {})
    for entry, written in zip(entries, ann.entries, strict=True):
        told.add(entry)
        assert entry.folders == written.folders
        assert entry.changes[0].delivered == written.changes[0].delivered
    assert told.state == ann.state
    assert await store.by_command("ann", entries[1].command_id) == entries[1]
    await store.close()


async def test_writing_and_folding_go_on(tmp_path, left):
    ann, _ = left
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    await store.commit(ann.move("a", "trash"))
    await store.commit(ann.deliver("d"))
    while await store.fold("ann", before_ms=2**50, to_seq=99):
        pass
    assert (await store.snapshot("ann")).state == ann.state
    assert len(await store.snapshot_records("ann", after_id="", limit=9)) == 4
    await store.close()


_AS_SCHEMA_3 = (
    (
        "INSERT INTO mailbox (mailbox_key, user_id, domain_id, seq, folded_seq, feed_from_ms,"
        " size_bytes, messages, state) SELECT mailbox_key, user_id, domain_id, seq, folded_seq, 1,"
        " size_bytes, messages, state FROM new.mailbox"
    ),
    "INSERT INTO command SELECT mailbox_key, command_id, seq FROM new.command",
    *(f"INSERT INTO {name} SELECT * FROM new.{name}" for name in ("journal", "place", "thread")),
    """INSERT INTO message
        SELECT message_key, mailbox_key, message_id, mail_id, message FROM new.message""",
    "INSERT INTO uid SELECT mailbox_key, folder_id, uid, message_key FROM new.uid",
)


async def test_tombstones_of_schema_3_lose_what_they_kept(tmp_path):
    ann = Writer()
    store = await SqliteMailStore.open(tmp_path / "new.sqlite")
    made = [ann.deliver("a"), ann.deliver("b"), ann.move("b", "archive"), ann.destroy("a")]
    for commit in made:
        await store.commit(commit)
    await store.close()
    kept = msgspec.structs.replace(
        ann.row("a"), head=made[0].messages[0].head, hops=made[0].messages[0].hops
    )
    file = await SqliteFile.open(tmp_path / "mail.sqlite", MIGRATIONS[:3], SqliteConfig())
    await file.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "mail.sqlite")) as old, old:
        old.execute("ATTACH ? AS new", (str(tmp_path / "new.sqlite"),))
        for statement in _AS_SCHEMA_3:
            old.execute(statement)
        for commit in made:  # entries of that version do not have the uids that ended
            changes = tuple(
                msgspec.structs.replace(change, left={}) for change in commit.entry.changes
            )
            entry = msgspec.structs.replace(commit.entry, changes=changes)
            row = (encode(entry), 1 << JOURNAL_KEY_SHIFT | entry.seq)
            old.execute("UPDATE journal SET entry = ? WHERE journal_key = ?", row)
        tombstone = (encode(kept), kept.message_id)
        old.execute("UPDATE message SET message = ? WHERE message_id = ?", tombstone)
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    assert await store.message("ann", ann.id("a")) == ann.row("a")
    assert ann.row("a").head == HeaderSummary()
    await store.commit(ann.deliver("c"))
    assert (await store.check("ann")).differences == ()
    assert await store.load("ann") == ann.state
    assert await store.fold("ann", before_ms=2**50, to_seq=4) == 4
    await store.close()
    assert "제목 a".encode() not in b"".join(p.read_bytes() for p in tmp_path.glob("mail.sqlite*"))


async def thread(store: SqliteMailStore, writer: Writer, name: str) -> str:
    row = await store.message(writer.user_id, writer.id(name))
    assert row is not None
    return row.thread_id


async def test_a_filter_that_finds_little_looks_at_a_bounded_part(tmp_path):
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite", scan_max=40)
    ann = Writer()
    for number in range(100):
        keywords = (FLAGGED,) if number == 3 else (SEEN,) if number % 2 else ()
        await store.commit(ann.deliver(str(number), at_ms=number, keywords=keywords))
    found, cursor, pages = [], None, 0
    wanted = Filter(flagged=True)
    while pages == 0 or cursor is not None:
        page = await store.page("ann", "inbox", conditions=wanted, limit=5, cursor=cursor)
        found += [row.message_id for row in page.messages]
        cursor, pages = page.next_cursor, pages + 1
    assert found == [ann.id("3")]
    assert pages >= 3
    everything = await store.page("ann", "inbox", conditions=NO_FILTER, limit=100, cursor=None)
    assert len(everything.messages) == 100
    await store.close()


async def test_pages_of_a_bounded_scan_go_on_in_both_directions(tmp_path):
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite", scan_max=7)
    ann = Writer()
    for number in range(60):
        keywords = (FLAGGED, "work") if number % 20 == 3 else (SEEN,)
        await store.commit(ann.deliver(str(number), at_ms=number, keywords=keywords))
    expected = [ann.id(str(number)) for number in (43, 23, 3)]
    lists = (
        (store.page, Filter(flagged=True)),
        (store.page, Filter(keyword="work", flagged=True)),
        (store.conversations, ConversationFilter(flagged=True)),
    )
    for read, wanted in lists:
        found, backwards = [], []
        page = await read("ann", None, conditions=wanted, limit=2, cursor=None)
        found += ids_of(page)
        while page.next_cursor is not None:
            page = await read("ann", None, conditions=wanted, limit=2, cursor=page.next_cursor)
            found += ids_of(page)
        backwards = ids_of(page)
        while page.previous_cursor is not None:
            page = await read("ann", None, conditions=wanted, limit=2, cursor=page.previous_cursor)
            backwards = ids_of(page) + backwards
        assert found == backwards == expected
    await store.close()


def ids_of(page: Page | ConversationPage) -> list[str]:
    if isinstance(page, Page):
        return [row.message_id for row in page.messages]
    return [row.latest_id for row in page.conversations]


LATER_TABLES = ("settings", "correspondent", "rebuild_correspondent")  # of schema 7


async def test_conversations_of_schema_5_are_those_of_the_messages(tmp_path):
    store, ann = await SqliteMailStore.open(tmp_path / "mail.sqlite"), Writer()
    for number in range(6):
        await store.commit(ann.deliver(str(number), at_ms=number, thread=str(number % 2)))
    for commit in (ann.move("3", "inbox", "archive"), ann.mark("4", SEEN), ann.destroy("5")):
        await store.commit(commit)
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "mail.sqlite")) as old, old:
        before = {name: list(old.execute(f"SELECT * FROM {name}")) for name in NEW_TABLES}
        for name in (*NEW_TABLES[1:], *LATER_TABLES):
            old.execute(f"DROP TABLE {name}")
        old.execute("CREATE TABLE member (mailbox_key INTEGER)")
        old.execute("DROP INDEX message_by_draft")  # of schema 8
        old.execute("ALTER TABLE message DROP COLUMN draft_id")
        old.execute("UPDATE place SET flags = flags & 3")
        old.execute("PRAGMA user_version = 5")
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    assert (await store.check("ann")).differences == ()
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "mail.sqlite")) as new:
        assert before == {name: list(new.execute(f"SELECT * FROM {name}")) for name in NEW_TABLES}
