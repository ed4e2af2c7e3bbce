"""The work of a change of one message does not grow with the length of its thread."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

from hypothesis import given, settings
from hypothesis import strategies as st

from mail.ports import Commit
from schemas.mailbox import SEEN
from schemas.sqlite.mail_store import MAIL
from stores.sqlite.mail_store import conversations, journal_and_rows
from stores.sqlite.mail_store.list_rows import ListRow
from stores.sqlite.mail_store.store import SqliteMailStore
from tests.contracts.mailboxes import Writer

SHORT, LONG = 200, 20_000
_MEMBER = "INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
FOLDERS = ("inbox", "archive", "sent", "junk", "trash")
Members = Sequence[tuple[tuple[str, ...], int, int, str]]  # folders, received at, flags, keywords


def fill(connection: Connection, key: int, thread_id: str, members: Members) -> None:
    """Add members to a thread, and compute its conversations from all its members."""
    for number, (folders, at_ms, flags, keywords) in enumerate(members):
        for folder in folders:
            values = (key, thread_id, folder, at_ms, f"x{number}", 10**9 + number, flags, keywords)
            connection.execute(_MEMBER, values)
    connection.execute("DELETE FROM conversation")
    connection.execute("DELETE FROM conversation_count")
    conversations.fill(connection)


async def steps_of(store: SqliteMailStore, commit: Commit) -> int:
    """Write the commit; return the instructions of SQLite's machine that it took."""

    def run(connection: Connection) -> int:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection.set_progress_handler(count, 1)
        try:
            journal_and_rows.write(connection, commit)
        finally:
            connection.set_progress_handler(None, 0)
        return steps

    return await store.file.write(run)


async def steps_in_a_thread(path: Path, length: int) -> list[int]:
    """Instructions for a change of keywords, a move, an expunge of the newest, and a delivery."""
    store, ann = await SqliteMailStore.open(path), Writer()
    for mail, at_ms in (("old", 1), ("new", 10**9), ("newest", 2 * 10**9)):
        await store.commit(ann.deliver(mail, at_ms=at_ms, thread="t"))
    thread_id = ann.row("old").thread_id
    members = [
        (FOLDERS[n % 3 : n % 3 + 1 + n % 2], 2 + n, n % 16, "work" if n % 3 else "")
        for n in range(length)
    ]
    await store.file.write(lambda connection: fill(connection, 1, thread_id, members))
    counted = [
        await steps_of(store, ann.mark("old", SEEN)),
        await steps_of(store, ann.mark("newest", "work")),
        await steps_of(store, ann.move("new", "archive")),
        await steps_of(store, ann.destroy("newest")),
        await steps_of(store, ann.deliver("later", at_ms=3 * 10**9, thread="t")),
    ]

    stored, computed = await store.file.read(lambda c: (rows_of(c), thread_rows(c, thread_id)))
    assert stored == computed
    await store.close()
    return counted


def rows_of(connection: Connection) -> list[ListRow]:
    return connection.execute("SELECT * FROM conversation ORDER BY folder_id").fetchall()


def thread_rows(connection: Connection, thread_id: str) -> list[ListRow]:
    return conversations.thread_rows(connection, 1, thread_id)


async def test_a_change_of_one_message_costs_the_same_in_a_thread_of_any_length(
    tmp_path: Path,
) -> None:
    short = await steps_in_a_thread(tmp_path / "short.sqlite", SHORT)
    long = await steps_in_a_thread(tmp_path / "long.sqlite", LONG)
    assert all(more <= less * 1.2 for less, more in zip(short, long, strict=True)), (short, long)


MEMBERS = st.lists(
    st.tuples(
        st.sets(st.sampled_from(FOLDERS), min_size=1, max_size=3).map(tuple),
        st.integers(0, 9),
        st.integers(0, 15),
        st.lists(st.sampled_from(["$flagged", "a", "b"]), unique=True, max_size=3).map(
            lambda words: " ".join(sorted(words))
        ),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(members=MEMBERS)
def test_rows_of_a_thread_are_those_of_a_full_computation(members: Members) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statements in MAIL:
            for statement in statements:
                connection.execute(statement) if isinstance(statement, str) else statement(
                    connection
                )
        fill(connection, 1, "t", members)
        assert thread_rows(connection, "t") == rows_of(connection)
