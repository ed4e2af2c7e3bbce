"""Cost of the embedded search index: adding mails, and searching one large mailbox of many.

`python -m benchmarks.search [--mails N] [--others N] [--folder DIR]`, in the root of the checkout.
Mails have 4 KB of words by Zipf's law. One user owns N mails; `others` users have 20 mails each in
the same buckets. CPU is user and system time of this process, all threads.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvloop

from benchmarks.fixtures import Corpus
from mail.ports import Commit
from mail.query.parser import parse
from mail.query.time_budget import SearchTimedOut
from mail.query.tree import QueryContext
from mail.search.executor import Order, SearchRequest, SearchResult, execute_search
from schemas.content import Stored
from schemas.events.mailbox_events import Delivered, MailboxChanged, MessageChange, Position
from schemas.mail import HeaderSummary, Verdict
from schemas.mailbox import FLAGGED, FOLDERS, SEEN, FolderCounts, MailboxState, Message
from schemas.search import IndexDocument
from stores.sqlite.mail_store.store import SqliteMailStore
from stores.sqlite.search.index import SqliteSearchIndex, bucket_of

MAILS_OF_OTHERS = 20
OWNER = "owner"
SEARCHES = 60
ROWS_IN_STEP = 500


async def add_all(
    index: SqliteSearchIndex, documents: Iterator[IndexDocument], *, workers: int
) -> int:
    """Add documents by `workers` callers, one document at a time each; return their number."""
    done = 0

    async def work() -> None:
        nonlocal done
        for document in documents:
            await index.add(document)
            done += 1

    await asyncio.gather(*(work() for _ in range(workers)))
    return done


async def measure_adding(
    index: SqliteSearchIndex, corpus: Corpus, *, workers: int, users: int
) -> None:
    documents = [
        corpus.document(f"w{workers}-{n % users}", n) for n in range(min(4_000, 60 * workers))
    ]
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    count = await add_all(index, iter(documents), workers=workers)
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    print(
        f"add: {workers:4} at once, {users:4} users: {count / took_s:7.0f}/s, "
        f"{cpu_s / count * 1e3:.3f} ms CPU"
    )


async def put_rows(store: SqliteMailStore, documents: Iterator[IndexDocument]) -> None:
    """Store the message rows of the documents, with ROWS_IN_STEP rows in each mailbox step."""
    state = MailboxState(folders={id_: FolderCounts(id_) for id_ in FOLDERS})
    numbered = enumerate(documents)
    for seq in itertools.count(1):
        batch = itertools.islice(numbered, ROWS_IN_STEP)
        rows = [_row(document, number, seq) for number, document in batch]
        if not rows:
            return
        state = msgspec.structs.replace(state, seq=seq)
        entry = MailboxChanged(
            user_id=OWNER,
            domain_id="domain",
            seq=seq,
            command_id=str(seq),
            position=Position("e", 0, seq),
            changes=tuple(
                MessageChange(
                    change="created",
                    message_id=row.message_id,
                    places=row.places,
                    keywords=row.keywords,
                    delivered=Delivered(
                        mail_id=row.mail_id,
                        content=row.content,
                        received_at_ms=row.received_at_ms,
                        verdict=row.verdict,
                        hops=row.hops,
                    ),
                )
                for row in rows
            ),
            folders=(),
            usage=state.usage,
            at_ms=0,
        )
        await store.commit(Commit(entry=entry, messages=tuple(rows), state=state))


def _row(document: IndexDocument, number: int, seq: int) -> Message:
    """Return a row: half of all are unread, one in a thousand is flagged, in three folders."""
    keywords = (() if number % 2 else (SEEN,)) + ((FLAGGED,) if number % 1000 == 0 else ())
    return Message(
        message_id=document.message_id,
        user_id=document.user_id,
        domain_id=document.domain_id,
        mail_id=document.message_id,
        places={FOLDERS[number % 3]: number + 1},
        keywords=keywords,
        created_seq=seq,
        changed_seq=seq,
        received_at_ms=document.received_at_ms,
        content=Stored(document.message_id, document.size_bytes, ""),
        head=HeaderSummary(subject=document.subject, has_attachments=document.has_attachments),
        verdict=Verdict(outcome="clean"),
        hops=(),
    )


def queries(words: list[str], mails: int) -> dict[str, Callable[[int], str]]:
    """Return the kinds of searches; each maps a number n to its nth query."""
    return {
        "frequent word": lambda n: words[n % 10],
        "middling word": lambda n: words[500 + n],
        "rare word": lambda n: words[40_000 + n],
        "one mail": lambda n: f"serial{n * (mails // SEARCHES)}",
        "two frequent words": lambda n: f"{words[n % 10]} {words[(n + 3) % 10]}",
        "frequent and rare": lambda n: f"{words[n % 10]} {words[40_000 + n]}",
        "phrase": lambda n: f'"{words[n % 10]} {words[(n + 1) % 10]}"',
        "phrase never found": lambda n: f'"{words[n % 10]} {words[3]} {words[5]} {words[n % 7]}"',
        "from:": lambda n: f"from:person{n}@example.org",
        "nothing found": lambda n: f"absent{n}",
        "one letter a*": lambda n: f"{chr(97 + n % 26)}*",
        "two letters ab*": lambda n: f"{chr(97 + n % 26)}{chr(97 + n // 26)}*",
        "four letters abcd*": lambda n: f"{words[100 + n][:4]}*",
        "one CJK character": lambda n: chr(0xAC00 + n),
        "only an exclusion": lambda n: f"-{words[n % 10]}",
        "frequent but not": lambda n: f"{words[n % 10]} -{words[(n + 1) % 10]}",
        "any of 20": lambda n: " OR ".join(words[n * 20 : n * 20 + 20]),
        "any of 50 fields": lambda n: " OR ".join(f"subject:{word}" for word in words[n : n + 50]),
        "a day": lambda n: f"{words[n % 10]} before:2023-12-{n % 28 + 1:02} after:2023-11-20",
        "larger:": lambda n: f"larger:{7_900 + n}",
        "has:attachment": lambda n: f"has:attachment {words[n % 10]}",
        "is:unread": lambda _: "is:unread",
        "is:unread word": lambda n: f"is:unread {words[n % 500]}",
        "is:flagged": lambda _: "is:flagged",
        "in: or word": lambda n: f"in:sent OR {words[n % 500]}",
        "unread nowhere": lambda _: "is:unread in:trash",
        "keyword:": lambda _: "keyword:$flagged",
        "with:": lambda n: f"with:person{n}",
        "msgid:": lambda n: f"msgid:{n * (mails // SEARCHES)}@example.org",
        "a header field": lambda _: "header:list-id",
        "text of a field": lambda n: f"header:list-id:ist{n % 50}.ex",
        "a sent day": lambda n: f"{words[n % 10]} sent_before:2023-12-{n % 28 + 1:02}",
        "contains: frequent": lambda n: f"contains:{words[100 + n][1:5]}",
        "contains: two words": lambda n: f'contains:"{words[n % 10]} {words[500 + n][:3]}"',
        "contains: in subject": lambda n: f"subject:(contains:{words[500 + n][1:5]})",
        "word and contains:": lambda n: f"{words[5_000 + n]} contains:{words[n % 10][1:3]}",
        "by relevance": lambda n: f"relevance {words[n % 500]}",
    }


async def measure_searching(
    index: SqliteSearchIndex, store: SqliteMailStore, corpus: Corpus, mails: int
) -> None:
    everything = Times()
    for name, query in queries(corpus.words, mails).items():
        took, hits, refused = Times(), 0, 0
        for number in range(SEARCHES):
            with took.measured():
                try:
                    hits += len((await search(index, store, query(number))).hits)
                except SearchTimedOut:  # a busy machine: the limit is by the clock
                    refused += 1
        everything.add(took)
        too_long = f", {refused} refused" if refused else ""
        print(f"search: {name:20} {took}, {hits / SEARCHES:5.1f} hits{too_long}")
    print(f"search: {'all of these':20} {everything}")


async def measure_whole_mailbox(index: SqliteSearchIndex, store: SqliteMailStore) -> None:
    """Search for a text that no mail has, call after call, as a protocol server does."""
    for field, text in (("subject", "subject:(contains:qqqqqq)"), ("all texts", "contains:qqqqqq")):
        calls, cursor = 0, None
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        while calls == 0 or cursor is not None:
            result = await search(index, store, text, cursor)
            calls, cursor = calls + 1, result.next_cursor
        took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
        print(f"absent text, {field}: {calls} calls, {took_s:.1f} s, CPU {cpu_s:.1f} s")


class Times:
    """Elapsed time and CPU time of many calls."""

    def __init__(self) -> None:
        self.took_ms: list[float] = []
        self.cpu_ms: list[float] = []

    @contextmanager
    def measured(self) -> Iterator[None]:
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        yield
        self.cpu_ms.append((time.process_time() - began_cpu_s) * 1e3)
        self.took_ms.append((time.perf_counter() - began_s) * 1e3)

    def add(self, other: "Times") -> None:
        self.took_ms += other.took_ms
        self.cpu_ms += other.cpu_ms

    def __str__(self) -> str:
        return f"{_percentiles(self.took_ms)}; CPU {_percentiles(self.cpu_ms)}"


async def search(
    index: SqliteSearchIndex, store: SqliteMailStore, text: str, cursor: str | None = None
) -> SearchResult:
    order: Order = "relevance" if text.startswith("relevance ") else "date"
    query = parse(text.removeprefix("relevance "), QueryContext(now_ms=0))
    return await execute_search(
        index,
        store,
        SearchRequest(user_id=OWNER, query=query, order=order, limit=50, cursor=cursor),
    )


def _percentiles(took_ms: list[float]) -> str:
    took_ms = sorted(took_ms)
    p95_ms = took_ms[int(len(took_ms) * 0.95)]
    return f"p50 {statistics.median(took_ms):7.2f} ms, p95 {p95_ms:7.2f} ms"


def sizes(folder: Path) -> str:
    all_mib = sum(file.stat().st_size for file in folder.glob("*")) / 2**20
    own_mib = (folder / f"search-{bucket_of(OWNER):02d}.sqlite").stat().st_size / 2**20
    return f"size: {all_mib:.0f} MiB in all, the owner's bucket {own_mib:.0f} MiB"


async def run(folder: Path, mails: int, others: int) -> None:
    corpus = Corpus()
    index = SqliteSearchIndex(folder)
    for workers, users in ((1, 1), (16, 16), (64, 64), (768, 1_000)):
        await measure_adding(index, corpus, workers=workers, users=users)
    store = await SqliteMailStore.open(folder / "mail.sqlite")
    owned = [corpus.document(OWNER, number) for number in range(mails)]
    await put_rows(store, iter(owned))
    documents_of_others = (
        corpus.document(f"other{n % others}", n) for n in range(others * MAILS_OF_OTHERS)
    )
    began_s = time.perf_counter()
    count = await add_all(index, itertools.chain(documents_of_others, owned), workers=768)
    print(f"filled: {count} mails in {time.perf_counter() - began_s:.0f} s")
    print(sizes(folder))
    await measure_searching(index, store, corpus, mails)
    await measure_whole_mailbox(index, store)
    await index.close()
    await store.close()


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
