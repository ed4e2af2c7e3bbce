"""Process that writes to a store, and prints a line when each write has returned.

`python -m tests.stores.writer KIND FOLDER`
KIND mail, content: prints a line per write, `user seq` or a mail id, until it is killed.
KIND full: meets a limit of file size, as a full disk, then writes on without it.
"""

import asyncio
import hashlib
import resource
import sys
from collections.abc import Awaitable
from pathlib import Path

from mail.errors import StoreUnavailable
from mail.ids import derived_id
from mail.ports import MailStore
from stores.filesystem.content_store import FilesystemContentStore
from stores.sqlite.mail_store.store import SqliteMailStore
from tests.contracts.mailboxes import Writer

USERS = 8


def content_of(mail_id: str) -> bytes:
    return hashlib.sha256(mail_id.encode()).digest() * 1000


async def mail(folder: Path) -> None:
    store = await SqliteMailStore.open(folder / "mail.sqlite")
    await asyncio.gather(*(deliver(store, f"user-{number}") for number in range(USERS)))


async def deliver(store: MailStore, user_id: str) -> None:
    writer = Writer(user_id)
    while True:
        await store.commit(writer.deliver(str(writer.state.seq + 1)))
        say(f"{user_id} {writer.state.seq}")


async def content(folder: Path) -> None:
    store = await FilesystemContentStore.open(folder / "content")
    await asyncio.gather(*(put(store, str(number)) for number in range(USERS)))


async def put(store: FilesystemContentStore, prefix: str) -> None:
    for number in range(100_000):
        mail_id = derived_id(prefix, str(number))
        await store.put(mail_id, content_of(mail_id))
        say(mail_id)


async def full(folder: Path) -> None:
    mails = await SqliteMailStore.open(folder / "mail.sqlite")
    contents = await FilesystemContentStore.open(folder / "content")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    writer = Writer("ann")
    refused = writer.deliver("0")
    while await outcome(mails.commit(refused)) == "done":
        refused = writer.deliver(str(writer.state.seq + 1))
    say(f"mail refused at {refused.entry.seq}, again {await outcome(mails.commit(refused))}")
    say(f"state {(await mails.load('ann')).seq}")
    large = b"x" * 300_000
    say(f"content {await outcome(contents.put('large', large))}")
    say(f"left behind {len(list((folder / 'content' / 'incoming').iterdir()))}")
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    say(f"content {await outcome(contents.put('large', large))}")
    say(f"mail {await outcome(mails.commit(refused))}")
    await mails.close()
    await contents.close()


async def outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except StoreUnavailable:
        return "unavailable"
    return "done"


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    asyncio.run({"mail": mail, "content": content, "full": full}[sys.argv[1]](Path(sys.argv[2])))
