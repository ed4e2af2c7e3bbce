"""Lists of conversations, and positions of lists, in a large mailbox.

`python -m benchmarks.conversations [--mails N] [--calls N] [--folder DIR]`, from the root of the
checkout. Every third mail begins a conversation, and every tenth is unread. The last line is the
CPU of a delivery, all threads of this process, without the fixtures.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from benchmarks.end_to_end import percentiles
from benchmarks.fixtures import delivery, user_id
from mail import ids
from mail.mailbox.list_filters import NO_FILTER
from mail.ports import Commit
from schemas.conversations import ConversationFilter
from schemas.ids import ThreadId
from schemas.mailbox import Filter
from stores.sqlite.mail_store.store import SqliteMailStore

BATCH = 1_000  # commits at once
STEP = 20_000  # commits in memory
PAGE = 50
OWNER = user_id(0)
Call = Callable[[], Awaitable[object]]


def conversation_delivery(seq: int) -> Commit:
    """A delivery to the thread of its third; every tenth message is read."""
    commit = delivery(OWNER, seq)
    (change,), (row,) = commit.entry.changes, commit.messages
    thread_id = ThreadId(ids.derived_id("thread", str(seq // 3)))
    keywords = ("$seen",) if seq % 10 else ()
    changed = msgspec.structs.replace(change, thread_id=thread_id, keywords=keywords)
    return msgspec.structs.replace(
        commit,
        entry=msgspec.structs.replace(commit.entry, changes=(changed,)),
        messages=(msgspec.structs.replace(row, thread_id=thread_id, keywords=keywords),),
    )


async def fill(store: SqliteMailStore, first: int, last: int) -> float:
    """Commit deliveries; return the seconds of CPU of this process."""
    made = [conversation_delivery(seq) for seq in range(first, last + 1)]
    began_s = time.process_time()
    for at in range(0, len(made), BATCH):
        await asyncio.gather(*(store.commit(commit) for commit in made[at : at + BATCH]))
    return time.process_time() - began_s


async def reads(store: SqliteMailStore, mails: int, calls: int) -> None:
    middle, chance = mails // 2, random.Random(mails)  # noqa: S311 no secrets here
    every, unread = ConversationFilter(), ConversationFilter(unread=True)
    flagged, flagged_mail = ConversationFilter(flagged=True), Filter(flagged=True)

    def threads(folder: str | None, wanted: ConversationFilter, position: int) -> Call:
        return lambda: store.conversations_at(
            OWNER, folder, wanted=wanted, limit=PAGE, position=position
        )

    def messages(folder: str | None, wanted: Filter) -> Call:
        position = chance.randrange(middle, middle + 100)
        return lambda: store.page_at(OWNER, folder, wanted=wanted, limit=PAGE, position=position)

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
            OWNER, "inbox", wanted=NO_FILTER, limit=PAGE, cursor=None
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
        store = await SqliteMailStore.open(Path(fresh) / "mail.sqlite")
        spent_s = 0.0
        for first in range(1, mails + 1, STEP):
            spent_s += await fill(store, first, min(first + STEP - 1, mails))
        await reads(store, mails, calls)
        await store.close()
        print(f"{'delivery':46} {spent_s / mails * 1000:.4f} ms CPU")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=200_000)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    uvloop.run(main(options.mails, options.calls, options.folder))
