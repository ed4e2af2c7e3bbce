"""Files of the stores: created at a start of the stack, only opened by other processes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from cli.wiring.embedded import Adapters
from cli.wiring.store_files import FILES, LIST, prepare_stores
from mail.directory.recipient_resolver import DirectoryResolver
from mail.errors import Refused, StoreUnavailable
from mail.pagination import all_rows
from operations import accounts
from stack.state_folder import claimed
from stores.memory import MemoryDirectory


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with claimed(tmp_path / "home") as made:
        return made.path


@asynccontextmanager
async def opening(home: Path) -> AsyncIterator[Adapters]:
    """Open the stores as commands and roles do, after a start created them."""
    async with AsyncExitStack() as stack:
        yield Adapters(home, stack, existing=True)


async def domains(home: Path) -> list[str]:
    async with opening(home) as opened:
        return [domain.name async for domain in all_rows((await opened.directory()).list_domains)]


async def start(home: Path) -> None:
    """Prepare the stores as a start does, and add the first domain."""
    await prepare_stores(home)
    async with opening(home) as opened:
        directory = await opened.directory()
        if not (await directory.list_domains(limit=1)).rows:
            await accounts.add_domain(directory, "here.test")


async def test_a_new_home_gets_every_file_and_the_next_start_keeps_them(home: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        await domains(home)
    assert list((home / "data").iterdir()) == [], "a command makes no file"
    await start(home)
    await start(home)
    assert await domains(home) == ["here.test"]
    assert {path.name for path in (home / "data").glob("*.sqlite")} >= set(FILES)


@pytest.mark.parametrize("name", FILES)
async def test_a_lost_file_stops_the_start_and_is_not_made_again(home: Path, name) -> None:
    await start(home)
    for path in (home / "data").glob(f"{name}*"):
        path.unlink()
    with pytest.raises(Refused, match=f"{name} is gone"):
        await prepare_stores(home)
    assert not (home / "data" / name).exists()
    listed = (home / LIST).read_text().replace(f"{name}\n", "")
    (home / LIST).write_text(listed)  # as the message says
    await prepare_stores(home)
    assert (home / "data" / name).exists()


async def test_a_lost_directory_is_an_outage_to_a_process_that_opens_it(home: Path) -> None:
    await start(home)
    (home / "data" / "directory.sqlite").unlink()
    with pytest.raises(StoreUnavailable, match="does not exist"):
        await domains(home)


async def test_state_of_a_former_version_has_no_list_and_gets_one(home: Path) -> None:
    await start(home)
    (home / LIST).unlink()
    await start(home)
    assert await domains(home) == ["here.test"]
    assert set((home / LIST).read_text().split()) == set(FILES)


async def test_only_a_start_migrates(home: Path) -> None:
    await start(home)
    path = home / "data" / "quarantine.sqlite"
    await asyncio.to_thread(set_version, path, 0)
    async with opening(home) as opened:
        with pytest.raises(StoreUnavailable, match="migrates it"):
            await opened.quarantine()
    assert await asyncio.to_thread(version, path) == 0


def set_version(path: Path, number: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={number}")
    connection.close()


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return found


@pytest.mark.parametrize("path", ["bob@here.test", "postmaster", "bob@elsewhere.test"])
async def test_a_directory_without_domains_refuses_nobody(path: str) -> None:
    directory = MemoryDirectory()
    resolver = DirectoryResolver(directory, "mx.here.test")
    with pytest.raises(StoreUnavailable, match="no domain"):
        await resolver.resolve(path)
    await accounts.add_domain(directory, "here.test")
    with pytest.raises(Refused):
        await resolver.resolve("bob@elsewhere.test")
