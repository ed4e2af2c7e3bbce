"""A returned write is durable: after kill -9, for another process, and after a full disk."""

import asyncio
from asyncio.subprocess import Process
from itertools import pairwise

from schemas.mailbox import Filter
from stores.filesystem.content_store import FilesystemContentStore
from stores.sqlite.mail_store.store import SqliteMailStore
from tests.contracts.mail_store_reads import holds_what
from tests.contracts.mailboxes import Writer
from tests.stores.writer import USERS, content_of


async def lines_until_killed(process: Process, *, lines: int) -> list[str]:
    """Send SIGKILL after `lines` lines; return all lines that the process has written."""
    assert process.stdout
    told = [await process.stdout.readline() for _ in range(lines)]
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    whole = b"".join(told) + rest
    return [line.decode() for line in whole.split(b"\n")[:-1]]


def highest(told: list[str]) -> dict[str, int]:
    found = dict.fromkeys((f"user-{number}" for number in range(USERS)), 0)
    return found | {user: int(seq) for user, seq in (line.split() for line in told)}


async def test_a_killed_writer_has_lost_no_commit_that_returned(tmp_path, start_writer, seeded):
    for _ in range(3):
        (tmp_path / "mail.sqlite").unlink(missing_ok=True)
        for file in tmp_path.glob("mail.sqlite-*"):
            file.unlink()
        process = await start_writer("mail")
        told = await lines_until_killed(process, lines=seeded.randrange(1, 400))
        store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
        for user, seq in highest(told).items():
            writer = Writer(user)
            stored = (await store.load(user)).seq
            assert seq <= stored <= seq + 1
            for number in range(stored):
                writer.deliver(str(number + 1))
            await holds_what(store, writer)
            await store.commit(writer.deliver("next"))
        await store.close()


async def test_a_killed_writer_has_lost_no_content_that_returned(tmp_path, start_writer, seeded):
    process = await start_writer("content")
    told = await lines_until_killed(process, lines=seeded.randrange(1, 300))
    store = await FilesystemContentStore.open(tmp_path / "content")
    for mail_id in told:
        assert await store.get(mail_id) == content_of(mail_id)
    in_place = [path for path in (tmp_path / "content").glob("??/*") if path.is_file()]
    assert len(in_place) >= len(told)
    for path in in_place:
        assert path.read_bytes() == content_of(path.name)
    await store.close()


async def test_another_process_is_seen_as_soon_as_its_write_returned(sqlite_mail, start_writer):
    process = await start_writer("mail")
    assert process.stdout
    for _ in range(200):
        user, seq = (await process.stdout.readline()).decode().split()
        entries = await sqlite_mail.journal(user, since_seq=0, limit=10_000)
        assert len(entries) >= int(seq)
        assert all(b.seq == a.seq + 1 for a, b in pairwise(entries))
        page = await sqlite_mail.page(
            user, "inbox", conditions=Filter(unread=True), limit=500, cursor=None
        )
        assert len(page.messages) >= min(len(entries), 500)


async def test_reading_goes_on_while_another_process_writes(sqlite_mail, start_writer):
    """A reader sees whole commits only: state and list of one read agree."""
    process = await start_writer("mail")
    assert process.stdout
    await process.stdout.readline()

    async def look(user: str) -> None:
        for _ in range(25):
            before = (await sqlite_mail.load(user)).seq
            page = await sqlite_mail.page(
                user, "inbox", conditions=Filter(), limit=500, cursor=None
            )
            after = (await sqlite_mail.load(user)).seq
            assert min(before, 500) <= len(page.messages) <= after

    await asyncio.gather(*(look(f"user-{number}") for number in range(USERS)))


async def test_a_full_disk_is_an_outage_that_ends(tmp_path, start_writer):
    process = await start_writer("full")
    output, _ = await process.communicate()
    refused, *rest = output.decode().splitlines()
    seq = int(refused.split()[3].rstrip(","))
    assert seq > 1
    assert refused.endswith("again unavailable")
    assert rest == [
        f"state {seq - 1}",
        "content unavailable",
        "left behind 0",
        "content done",
        "mail done",
    ]
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    assert (await store.load("ann")).seq == seq
    await store.close()
