"""Lists of conversations, and positions of lists, in a large mailbox.

`python -m benchmarks.conversations [--mails N] [--calls N] [--folder DIR]`, from the root of the
checkout. Every third mail begins a conversation, and every tenth is unread. The rows are written
directly to the tables; `benchmarks.stores` measures deliveries.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import uvloop

from benchmarks.end_to_end import percentiles
from benchmarks.fixtures import NOW_MS, delivery, user_id
from mail.ids import derived_id, new_id
from mail.mailbox.list_filters import NO_FILTER
from mail.ports import Commit
from schemas.conversations import ConversationFilter
from schemas.ids import MessageId, ThreadId
from schemas.mailbox import INBOX, Filter, FolderCounts, Message
from stores.sqlite.database_file import SqliteConfig, connect
from stores.sqlite.mail_store import conversations, journal_and_rows, list_rows
from stores.sqlite.mail_store.store import SqliteMailStore

PAGE = 50
OWNER = user_id(0)
Call = Callable[[], Awaitable[object]]


def messages_of(commit: Commit, mails: int) -> Iterator[Message]:
    """Copies of one delivered message, three to a thread."""
    (row,) = commit.messages
    for seq in range(1, mails + 1):
        yield msgspec.structs.replace(
            row,
            message_id=MessageId(new_id()),
            places={INBOX: seq},
            keywords=("$seen",) if seq % 10 else (),
            thread_id=ThreadId(derived_id("thread", str(seq // 3))),
            received_at_ms=NOW_MS + seq,
        )


def fill(path: Path, mails: int) -> None:
    """Write a mailbox of `mails` messages in its inbox, without a journal."""
    connection = connect(path, SqliteConfig())
    connection.execute("BEGIN")
    commit = delivery(OWNER, 1)
    journal_and_rows.write(connection, commit)
    for table in ("message", "place", "uid", "member", "conversation", "conversation_count"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608  (constants only)
    for row in messages_of(commit, mails):
        message_key = journal_and_rows.insert_message(connection, 1, row)
        list_rows.move(connection, 1, message_key, None, row)
    conversations.fill(connection)
    counts = FolderCounts(INBOX, mails, mails // 10, mails + 1)
    state = msgspec.structs.replace(commit.state, folders={INBOX: counts})
    connection.execute("UPDATE mailbox SET state = ?", (journal_and_rows.encode(state),))
    connection.execute("COMMIT")
    connection.close()


async def reads(store: SqliteMailStore, mails: int, calls: int) -> None:
    middle, chance = mails // 2, random.Random(mails)  # noqa: S311 no secrets here
    every, unread = ConversationFilter(), ConversationFilter(unread=True)
    flagged, flagged_mail = ConversationFilter(flagged=True), Filter(flagged=True)

    def threads(folder: str | None, wanted: ConversationFilter, position: int) -> Call:
        return lambda: store.conversations_at(
            OWNER, folder, conditions=wanted, limit=PAGE, position=position
        )

    def messages(folder: str | None, wanted: Filter) -> Call:
        position = chance.randrange(middle, middle + 100)
        return lambda: store.page_at(
            OWNER, folder, conditions=wanted, limit=PAGE, position=position
        )

    cases: dict[str, Call] = {
        "conversations of the inbox, first 50": threads("inbox", every, 0),
        "conversations of all mail, first 50": threads(None, every, 0),
        "conversations, unread, first 50": threads("inbox", unread, 0),
        "conversations, flagged (none), total": threads("inbox", flagged, 0),
        "conversations, jump to the middle": threads("inbox", every, mails // 6),
        "messages, jump to the middle": messages("inbox", NO_FILTER),
        "messages of all mail, jump to the middle": messages(None, NO_FILTER),
        "messages, flagged (none), total": messages("inbox", flagged_mail),
        "counts of threads": lambda: store.thread_counts(OWNER),
        "messages of the inbox, first 50, by cursor": lambda: store.page(
            OWNER, "inbox", conditions=NO_FILTER, limit=PAGE, cursor=None
        ),
    }
    for name, call in cases.items():
        took_ms = []
        for _ in range(calls):
            began_s = time.perf_counter()
            await call()
            took_ms.append((time.perf_counter() - began_s) * 1000)
        figures = percentiles(took_ms)
        print(f"{name:46} {' '.join(f'{key} {value}' for key, value in figures.items())}")


async def main(mails: int, calls: int, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        path = Path(fresh) / "mail.sqlite"
        await (await SqliteMailStore.open(path)).close()
        fill(path, mails)
        store = await SqliteMailStore.open(path)
        await reads(store, mails, calls)
        await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=200_000)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    uvloop.run(main(options.mails, options.calls, options.folder))
