"""Views of large mailboxes that protocols ask for, each as a multiple of a control of the same run.

`python -m benchmarks.mailbox_views [--messages N] [--calls N] [--folder DIR]`, from the root of the
checkout. The control is the SHA-256 of 16 MiB, taken before and after each row: times depend on
the machine and on its other work, ratios less so. DIR should be on the disk that will hold the
mail: deliveries are flushed.
"""

import argparse
import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from benchmarks.conversations import OWNER, fill
from benchmarks.end_to_end import percentiles
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


def control_ms() -> float:
    """Return the CPU of the control."""
    began_s = time.process_time()
    hashlib.sha256(_OCTETS).digest()
    return (time.process_time() - began_s) * 1000


async def row(name: str, call: Call, *, calls: int, goal_ms: float | None = None) -> None:
    """Print the least CPU of a call, and its multiple of the control."""
    took_ms, controls = [], [control_ms()]
    for _ in range(calls):
        began_s = time.process_time()
        await call()
        took_ms.append((time.process_time() - began_s) * 1000)
    controls.append(control_ms())
    least, control = min(took_ms), min(controls)
    goal = f"  goal {goal_ms:g} ms" if goal_ms is not None else ""
    print(f"{name:44} {least:9.1f} ms CPU {least / control:8.2f} controls{goal}")


async def views(folder: Path, messages: int, calls: int) -> None:
    """Measure whole folders: all messages, and a fifth of them."""
    for count, goals in ((messages, (150.0, None)), (messages // 5, (None, 100.0))):
        path = folder / f"mail-{count}.sqlite"
        await (await SqliteMailStore.open(path)).close()
        fill(path, count)
        store = await SqliteMailStore.open(path)
        for name, call, goal in (
            (f"view of a folder of {count}", lambda s=store: s.slots(OWNER, INBOX), goals[0]),
            (
                f"flags of {count} that changed",
                lambda s=store: s.changed(OWNER, INBOX, since_seq=0),
                goals[1],
            ),
        ):
            await row(name, call, calls=calls, goal_ms=goal)
        await store.close()


async def outlines(folder: Path, messages: int, calls: int) -> None:
    """Measure envelopes and structures, which one outline has both."""
    store = await SqliteOutlineStore.open(folder / "outlines.sqlite")
    outline = outline_of(small_mail())
    mail_ids = [MailId(ids.new_id()) for _ in range(messages)]
    for first in range(0, messages, PAGE):
        await asyncio.gather(*(store.put(each, outline) for each in mail_ids[first : first + PAGE]))

    async def read() -> None:
        for first in range(0, messages, PAGE):
            await store.get(mail_ids[first : first + PAGE])

    await row(f"envelopes and structures of {messages}", read, calls=calls, goal_ms=300.0)
    await store.close()


async def lists(folder: Path, messages: int, calls: int) -> None:
    """Measure pages of conversations: wall time, because readers wait for it."""
    path = folder / "conversations.sqlite"
    await (await SqliteMailStore.open(path)).close()
    fill(path, messages)
    store = await SqliteMailStore.open(path)
    took_ms, before = [], control_ms()
    for number in range(calls):
        began_s = time.perf_counter()
        await store.conversations(
            OWNER, (INBOX, None)[number % 2], conditions=ConversationFilter(), limit=50, cursor=None
        )
        took_ms.append((time.perf_counter() - began_s) * 1000)
    figures = percentiles(took_ms)
    control = min(before, control_ms())
    shown = " ".join(f"{key} {value}" for key, value in figures.items())
    print(f"page of conversations of {messages} mails, wall ms: {shown}; control {control:.1f} ms")
    await store.close()


async def deliveries(folder: Path, count: int) -> None:
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
        wall_s, cpu_s, before = time.perf_counter(), time.process_time(), control_ms()
        await asyncio.gather(*(_write(store, of_user) for of_user in commits.values()))
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        done = users * each * together
        cpu_ms, control = cpu_s / done * 1000, min(before, control_ms())
        print(
            f"deliveries {name:36} {done / wall_s:7.0f}/s {cpu_ms:7.3f} ms CPU each,"
            f" {cpu_ms / control:6.4f} controls"
        )
        await store.close()


def _commits(owner: str, count: int, together: int) -> list[list[Commit]]:
    made = [delivery(owner, seq) for seq in range(1, count + 1)]
    return [made[first : first + together] for first in range(0, count, together)]


async def _write(store: SqliteMailStore, commits: Sequence[Sequence[Commit]]) -> None:
    for group in commits:
        await store.commit_all(group)


async def main(messages: int, calls: int, folder: Path) -> None:
    print(
        f"control: {CONTROL}, {control_ms():.1f} ms; load of the machine {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        await views(Path(fresh), messages, calls)
        await outlines(Path(fresh), messages // 5, calls)
        await lists(Path(fresh), messages * 4, calls * 40)
        await deliveries(Path(fresh), messages // 10)
    print(f"load of the machine {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    uvloop.run(main(options.messages, options.calls, options.folder))
