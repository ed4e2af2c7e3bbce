"""Views of large mailboxes that protocols ask for, each as a multiple of a control of the same run.

`python -m benchmarks.mailbox_views [--messages N] [--calls N] [--folder DIR]`, from the root of the
checkout; `make bench` runs it too. The control is the SHA-256 of 16 MiB, taken before and after
each row: times depend on the machine and on its other work, ratios less so. DIR should be on the
disk that will hold the mail: deliveries are flushed.
"""

import argparse
import asyncio
import gc
import hashlib
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.conversations import OWNER, fill
from benchmarks.fixtures import delivery, user_id
from benchmarks.outlines import small_mail
from mail import ids
from mail.mime.outline.builder import outline_of
from mail.ports import Commit
from schemas.conversations import ConversationFilter
from schemas.ids import MailId
from schemas.mailbox import INBOX
from stores.sqlite.mail_store.store import SqliteMailStore
from stores.sqlite.outline_store import SqliteOutlineStore

CONTROL = "SHA-256 of 16 MiB"
_OCTETS = bytes(16 * 1024 * 1024)
TOGETHER = 32  # deliveries of one commit
PAGE = 500  # outlines read at once
PEOPLE = 64
Call = Callable[[], Awaitable[object]]
Row = dict[str, Any]


def control_ms() -> float:
    """Return the CPU of the control."""
    began_s = time.process_time()
    hashlib.sha256(_OCTETS).digest()
    return (time.process_time() - began_s) * 1000


class Rows:
    """The rows measured so far."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    @contextmanager
    def row(self, what: str, goal: str = "") -> Iterator[Row]:
        """A row; the block sets its `cpu_ms`, and controls are taken around the block."""
        row: Row = {"what": what, "goal": goal}
        before = control_ms()
        yield row
        row["controls"] = round(row["cpu_ms"] / min(before, control_ms()), 4)
        self.rows.append(row)

    async def least(self, what: str, call: Call, *, calls: int, goal: str = "") -> None:
        """Measure the least CPU of a call."""
        with self.row(what, goal) as row:
            row["cpu_ms"] = min([await cpu_ms(call) for _ in range(calls)])


async def cpu_ms(call: Call) -> float:
    began_s = time.process_time()
    await call()
    return round((time.process_time() - began_s) * 1000, 2)


async def views(rows: Rows, folder: Path, messages: int, calls: int) -> None:
    """Measure whole folders: all messages, and a fifth of them."""
    for count, goals in ((messages, ("150 ms", "")), (messages // 5, ("", "100 ms"))):
        path = folder / f"mail-{count}.sqlite"
        await (await SqliteMailStore.open(path)).close()
        fill(path, count)
        store = await SqliteMailStore.open(path)
        view, flags = goals
        await rows.least(
            f"view of a folder of {count:,}",
            lambda s=store: s.slots(OWNER, INBOX),  # type: ignore[misc]
            calls=calls,
            goal=view,
        )
        await rows.least(
            f"flags of {count:,} that changed",
            lambda s=store: s.changed(OWNER, INBOX, since_seq=0),  # type: ignore[misc]
            calls=calls,
            goal=flags,
        )
        await store.close()


async def outlines(rows: Rows, folder: Path, messages: int, calls: int) -> None:
    """Measure envelopes and structures, which one outline has both."""
    store = await SqliteOutlineStore.open(folder / "outlines.sqlite")
    outline = outline_of(small_mail())
    mail_ids = [MailId(ids.new_id()) for _ in range(messages)]
    for first in range(0, messages, PAGE):
        await asyncio.gather(*(store.put(each, outline) for each in mail_ids[first : first + PAGE]))

    async def read() -> None:
        for first in range(0, messages, PAGE):
            await store.get(mail_ids[first : first + PAGE])

    what = f"envelopes and structures of {messages:,}"
    await rows.least(what, read, calls=calls, goal="300 ms")
    await store.close()


async def lists(rows: Rows, folder: Path, messages: int, calls: int) -> None:
    """Measure pages of conversations, in turn of the inbox and of all mail."""
    path = folder / "conversations.sqlite"
    await (await SqliteMailStore.open(path)).close()
    fill(path, messages)
    store = await SqliteMailStore.open(path)

    async def page(number: int) -> None:
        list_ = (INBOX, None)[number % 2]
        await store.conversations(
            OWNER, list_, conditions=ConversationFilter(), limit=50, cursor=None
        )

    with rows.row(f"page of conversations of {messages:,} mails, p99", "20 ms") as row:
        took_ms = sorted([await cpu_ms(lambda n=n: page(n)) for n in range(calls)])  # type: ignore[misc]
        row["cpu_ms"] = took_ms[int(len(took_ms) * 0.99)]
    await store.close()


async def deliveries(rows: Rows, folder: Path, count: int) -> None:
    """Measure flushed deliveries: into one mailbox one by one and together, into many at once."""
    for name, users, together in (
        ("into one mailbox, one by one", 1, 1),
        (f"into one mailbox, {TOGETHER} together", 1, TOGETHER),
        (f"into {PEOPLE} mailboxes, one by one", PEOPLE, 1),
        (f"into {PEOPLE} mailboxes, {TOGETHER} together", PEOPLE, TOGETHER),
    ):
        store = await SqliteMailStore.open(folder / f"deliveries-{users}-{together}.sqlite")
        each = max(count // users // together, 1)
        commits = {n: _commits(user_id(n), each * together, together) for n in range(users)}
        with rows.row(f"delivery {name}") as row:
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            await asyncio.gather(*(_write(store, of_user) for of_user in commits.values()))
            wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
            done = users * each * together
            row |= {"cpu_ms": round(cpu_s / done * 1000, 3), "per_s": round(done / wall_s)}
        await store.close()


def _commits(owner: str, count: int, together: int) -> list[list[Commit]]:
    made = [delivery(owner, seq) for seq in range(1, count + 1)]
    return [made[first : first + together] for first in range(0, count, together)]


async def _write(store: SqliteMailStore, commits: Sequence[Sequence[Commit]]) -> None:
    for group in commits:
        await store.commit_all(group)


async def measure(messages: int, calls: int, folder: Path | None) -> list[Row]:
    """Return all rows: what, cpu_ms, controls, goal, and per_s where many run at once."""
    gc.freeze()  # as a role does
    rows = Rows()
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        await views(rows, Path(fresh), messages, calls)
        await outlines(rows, Path(fresh), messages // 5, calls)
        await lists(rows, Path(fresh), messages * 4, calls * 40)
        await deliveries(rows, Path(fresh), messages // 10)
    return rows.rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    measured = uvloop.run(measure(options.messages, options.calls, options.folder))
    print("\n".join(map(json.dumps, measured)))
