"""Cost of the embedded stores: calls per second, and CPU per call.

`python -m benchmarks.stores [--calls N] [--folder DIR]`, from the root of the checkout. CPU is user
and system time of this process, all threads. The line `nothing` is the cost of the event loop and
of creating a commit, without a store. DIR should be on the disk that will hold the mail.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.fixtures import delivery, user_id
from benchmarks.outlines import small_mail
from mail import ids
from mail.mailbox.list_filters import NO_FILTER
from mail.mime.outline.builder import outline_of
from schemas.holders import Holder
from stores.filesystem.content_store import FilesystemContentStore
from stores.sqlite.content_store import SqliteContentStore
from stores.sqlite.holders import SqliteHolders
from stores.sqlite.mail_store.store import SqliteMailStore
from stores.sqlite.outline_store import SqliteOutlineStore

Call = Callable[[int, int], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`calls` calls of call(worker, n), divided among `workers` tasks."""

    name: str
    workers: int
    calls: int
    call: Call


async def measure(case: Case) -> None:
    """Run a case and print its line."""

    async def run(worker: int) -> None:
        for n in range(case.calls // case.workers):
            await case.call(worker, n)

    wall_s, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(run(worker) for worker in range(case.workers)))
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    done = case.calls // case.workers * case.workers
    print(f"{case.name:44} {done / wall_s:9.0f}/s {cpu_s / done * 1000:9.4f} ms CPU")


async def mail_store(folder: Path, calls: int) -> None:
    store = await SqliteMailStore.open(folder / "mail.sqlite")

    async def nothing(worker: int, n: int) -> None:
        delivery(user_id(worker), n + 1)
        await asyncio.sleep(0)

    async def commit(worker: int, n: int) -> None:
        await store.commit(delivery(user_id(worker), n + 1))

    async def commit_spread(worker: int, n: int) -> None:
        await store.commit(delivery(ids.derived_id(str(worker), str(n)), 1))

    async def page(worker: int, n: int) -> None:
        await store.page(
            user_id(worker + n % 50), "inbox", conditions=NO_FILTER, limit=50, cursor=None
        )

    async def load(worker: int, n: int) -> None:
        await store.load(user_id(worker + n % 50))

    for case in (
        Case(name="nothing, 64 at once", workers=64, calls=calls, call=nothing),
        Case(name="mail: commit, 64 users at once", workers=64, calls=calls, call=commit),
        Case(name="mail: commit, each of a new user", workers=64, calls=calls, call=commit_spread),
        Case(name="mail: page of 50, 8 at once", workers=8, calls=calls // 10, call=page),
        Case(name="mail: load, 1 at once", workers=1, calls=calls // 10, call=load),
        Case(name="mail: load, 64 at once", workers=64, calls=calls, call=load),
    ):
        await measure(case)
    await store.close()
    size_bytes = (folder / "mail.sqlite").stat().st_size
    print(f"mail: {size_bytes / (2 * calls):.0f} bytes of file per delivery")


async def contents(folder: Path, calls: int) -> None:
    files = await FilesystemContentStore.open(folder / "files")
    store = await SqliteContentStore.open(folder / "content.sqlite", folder / "content")
    small, large = b"x" * 4096, b"x" * 500_000
    kept = [ids.new_id() for _ in range(100)]

    async def put_small(_worker: int, _n: int) -> None:
        await store.put(ids.new_id(), small)

    async def put_file(_worker: int, _n: int) -> None:
        await files.put(ids.new_id(), small)

    async def put_large(worker: int, n: int) -> None:
        await store.put(kept[(worker * 16 + n) % 100], large)

    async def get_large(_worker: int, n: int) -> None:
        await store.get(kept[n % 12])

    for case in (
        Case(name="content: put 4 KB, 16 at once", workers=16, calls=calls // 4, call=put_small),
        Case(name="content: the same, a file each", workers=16, calls=calls // 4, call=put_file),
        Case(name="content: put 500 KB, 8 at once", workers=8, calls=100, call=put_large),
        Case(name="content: get 500 KB, 8 at once", workers=8, calls=800, call=get_large),
    ):
        await measure(case)
    await files.close()
    await store.close()


async def holders(folder: Path, calls: int) -> None:
    store = await SqliteHolders.open(folder / "holders.sqlite")

    async def hold(worker: int, _n: int) -> None:
        mail_id = ids.new_id()
        await store.hold([Holder(mail_id=mail_id, holder=f"user:{user_id(worker)}", ref=mail_id)])

    await measure(Case(name="holders: hold one, 16 at once", workers=16, calls=calls, call=hold))
    await store.close()


async def outlines(folder: Path, calls: int) -> None:
    store = await SqliteOutlineStore.open(folder / "outlines.sqlite")
    outline, kept = outline_of(small_mail()), [ids.new_id() for _ in range(500)]

    async def put(worker: int, n: int) -> None:
        await store.put(kept[(worker * 37 + n) % 500], outline)

    async def get(_worker: int, _n: int) -> None:
        await store.get(kept)

    await measure(Case(name="outlines: put, 16 at once", workers=16, calls=calls, call=put))
    await measure(Case(name="outlines: get 500, 1 at once", workers=1, calls=20, call=get))
    await store.close()


async def main(calls: int, folder: Path) -> None:
    for area in (mail_store, contents, outlines, holders):
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            await area(Path(fresh), calls)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    uvloop.run(main(options.calls, options.folder))
