"""What the embedded search index costs: adding, and searching a large mailbox among others.

`python -m benchmarks.search [--mails N] [--others N] [--folder DIR]`, from the checkout's root.
Mails have 4 KB of words by Zipf's law. One user owns N of them; `others` users have 20 each and
share the buckets. CPU is user and system time of this process, all threads.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvloop

from benchmarks.made import Corpus
from schemas.records import IndexDocument
from stores.fts import FtsIndex, bucket_of

MAILS_OF_OTHERS = 20
OWNER = "owner"
SEARCHES = 60


async def add_all(index: FtsIndex, documents: Iterator[IndexDocument], *, workers: int) -> int:
    """`workers` callers that each wait for one add before the next; how many were added."""
    done = 0

    async def work() -> None:
        nonlocal done
        for document in documents:
            await index.add(document)
            done += 1

    await asyncio.gather(*(work() for _ in range(workers)))
    return done


async def measure_adding(index: FtsIndex, corpus: Corpus, *, workers: int, users: int) -> None:
    made = [corpus.document(f"w{workers}-{n % users}", n) for n in range(4_000)]
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    count = await add_all(index, iter(made), workers=workers)
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    print(
        f"add: {workers:4} at once, {users:4} users: {count / took_s:7.0f}/s, "
        f"{cpu_s / count * 1e3:.3f} ms CPU"
    )


async def measure_searching(index: FtsIndex, corpus: Corpus, mails: int) -> None:
    words = corpus.words
    cases: dict[str, Callable[[int], str]] = {
        "frequent word": lambda n: words[n % 10],
        "middling word": lambda n: words[500 + n],
        "rare word": lambda n: words[40_000 + n],
        "one mail": lambda n: f"serial{n * (mails // SEARCHES)}",
        "two frequent words": lambda n: f"{words[n % 10]} {words[(n + 3) % 10]}",
        "frequent and rare": lambda n: f"{words[n % 10]} {words[40_000 + n]}",
        "phrase": lambda n: f'"{words[n % 10]} {words[(n + 1) % 10]}"',
        "from:": lambda n: f"from:person{n}@example.org",
        "nothing found": lambda n: f"absent{n}",
    }
    for name, query in cases.items():
        took_ms, hits = [], 0
        for number in range(SEARCHES):
            began_s = time.perf_counter()
            found, _ = await index.search(OWNER, query(number), limit=50, cursor=None)
            took_ms.append((time.perf_counter() - began_s) * 1e3)
            hits += len(found)
        took_ms.sort()
        print(
            f"search: {name:20} p50 {statistics.median(took_ms):8.2f} ms, "
            f"p95 {took_ms[int(SEARCHES * 0.95)]:8.2f} ms, {hits / SEARCHES:5.1f} hits"
        )


def sizes(folder: Path) -> str:
    all_mib = sum(file.stat().st_size for file in folder.glob("*")) / 2**20
    own_mib = (folder / f"search-{bucket_of(OWNER):02d}.sqlite").stat().st_size / 2**20
    return f"size: {all_mib:.0f} MiB in all, the owner's bucket {own_mib:.0f} MiB"


async def run(folder: Path, mails: int, others: int) -> None:
    corpus = Corpus()
    index = FtsIndex(folder)
    for workers, users in ((1, 1), (16, 16), (64, 64), (768, 1_000)):
        await measure_adding(index, corpus, workers=workers, users=users)
    everyone = itertools.chain(
        (corpus.document(f"other{n % others}", n) for n in range(others * MAILS_OF_OTHERS)),
        (corpus.document(OWNER, n) for n in range(mails)),
    )
    began_s = time.perf_counter()
    count = await add_all(index, everyone, workers=768)
    print(f"filled: {count} mails in {time.perf_counter() - began_s:.0f} s")
    print(sizes(folder))
    await measure_searching(index, corpus, mails)
    await index.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--others", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        uvloop.run(run(Path(folder), arguments.mails, arguments.others))


if __name__ == "__main__":
    main()
