"""Backups without a stack: what is refused, and by which name; nothing half is left behind."""

import asyncio
import json
import sqlite3
import subprocess
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from cli.backup import backup
from cli.backup.backup import back_up
from cli.backup.content_lease import contents_kept
from cli.backup.manifest import NotABackup, sha256_of
from cli.backup.restore import SCHEMAS, restore
from cli.config.config import Config, load
from cli.wiring.embedded import Adapters
from mail.errors import Refused
from mail.ids import new_id
from schemas.content import Lease
from schemas.holders import Holder
from stack.state_folder import claimed
from stores.sqlite.consistent_copy import consistent_snapshots
from stores.sqlite.content_store import ROW_MAX_BYTES
from stores.sqlite.holders import SqliteHolders

MAIL, SMALL = new_id(), new_id()


def config_of(home: Path) -> Config:
    return load({"POSTRIVER_HOME": str(home)})


async def fill(home: Path) -> None:
    async with AsyncExitStack() as stack:
        opened = Adapters(home, stack)
        await opened.mail_store()
        await (await opened.directory()).set_setting("epoch:mail.received", "1:x")
        await opened.quarantine()
        await (await opened.holders()).hold([Holder(mail_id=MAIL, holder="user:u", ref=MAIL)])
        await (await opened.search()).remove("nobody", "nothing")
        contents = await opened.contents()
        await contents.put(MAIL, b"Subject: kept\r\n\r\n" + b"x" * ROW_MAX_BYTES)
        await contents.put(SMALL, b"Subject: small\r\n\r\n")


async def content_of(home: Path) -> bytes:
    async with AsyncExitStack() as stack:
        return await (await Adapters(home, stack).contents()).get(SMALL)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with claimed(tmp_path / "home") as made:
        asyncio.run(fill(made.path))
        (made.tls / "key.pem").write_text("secret")
        (made.path / "later").mkdir()
        (made.path / "later" / "file").write_text("of a version to come")
        (made.log / "noise.log").write_text("no state")
    return tmp_path / "home"


@pytest.fixture
def kept(home: Path, tmp_path: Path) -> Path:
    back_up(config_of(home), tmp_path / "backup", bootstrap=None)
    return tmp_path / "backup"


def state_of(home: Path) -> dict[str, bytes]:
    """What a user would miss: all but SQLite's files, whose pages may lie elsewhere in a copy."""
    names = (path for path in home.rglob("*") if path.is_file() and "sqlite" not in path.name)
    found = {path.relative_to(home).as_posix(): path.read_bytes() for path in names}
    return {name: raw for name, raw in found.items() if name.split("/")[0] not in {"log", "lock"}}


def test_the_way_there_and_back(home: Path, kept: Path, tmp_path: Path) -> None:
    made = restore(config_of(tmp_path / "again"), kept)
    assert made.log is None
    assert made.schemas.keys() <= SCHEMAS.keys()
    assert state_of(tmp_path / "again") == state_of(home)
    assert (tmp_path / "again" / "data" / "mail.sqlite").exists()
    for path in (*kept.rglob("*"), *(tmp_path / "again").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    told = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=kept, check=False)
    assert told.returncode == 0

    async def holders() -> list[Holder]:
        store = await SqliteHolders.open(tmp_path / "again" / "data" / "holders.sqlite")
        try:
            return await store.list(MAIL)
        finally:
            await store.close()

    assert [one.holder for one in asyncio.run(holders())] == ["user:u"]
    assert asyncio.run(content_of(tmp_path / "again")) == b"Subject: small\r\n\r\n"


@pytest.mark.parametrize("name", ["home/tls/key.pem", "home/data/mail.sqlite", "SHA256SUMS"])
def test_a_damaged_file_is_named_and_nothing_is_written(
    kept: Path, tmp_path: Path, name: str
) -> None:
    raw = bytearray((kept / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (kept / name).write_bytes(raw)
    with pytest.raises(NotABackup, match=f"{name} is damaged"):
        restore(config_of(tmp_path / "again"), kept)
    assert not (tmp_path / "again").exists()


def test_a_missing_file_is_named(kept: Path, tmp_path: Path) -> None:
    (kept / "home" / "content" / MAIL[-2:] / MAIL).unlink()
    with pytest.raises(NotABackup, match=MAIL):
        restore(config_of(tmp_path / "again"), kept)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": 2}, "its format 2 is newer"),
        ({"state": 99}, "its state has version 99"),
        ({"schemas": {"mail.sqlite": 99}}, r"mail\.sqlite has schema 99"),
        ({"schemas": {"future.sqlite": 1}}, "a store that this version does not know"),
        ({"files": "many"}, "Expected `int`"),
    ],
)
def test_what_we_cannot_restore_is_refused(
    kept: Path, tmp_path: Path, changes: dict, why: str
) -> None:
    manifest = json.loads((kept / "manifest.json").read_text())
    (kept / "manifest.json").write_text(json.dumps(manifest | changes))
    with pytest.raises(NotABackup, match=why):
        restore(config_of(tmp_path / "again"), kept)
    (kept / "manifest.json").unlink()
    with pytest.raises(NotABackup, match="not finished"):
        restore(config_of(tmp_path / "again"), kept)


def test_a_backup_cannot_write_outside_the_home(kept: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    sums = kept / "SHA256SUMS"
    sums.write_text(sums.read_text() + f"{sha256_of(outside)}  home/../../outside\n")
    manifest = json.loads((kept / "manifest.json").read_text())
    manifest["sums_sha256"] = sha256_of(sums)
    (kept / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(NotABackup, match="names"):
        restore(config_of(tmp_path / "again"), kept)


def test_folders_in_use_are_left_alone(home: Path, kept: Path) -> None:
    with pytest.raises(Refused, match="is not empty"):
        restore(config_of(home), kept)
    before = sorted(kept.rglob("*"))
    with pytest.raises(Refused, match="is not empty"):
        back_up(config_of(home), kept, bootstrap=None)
    assert sorted(kept.rglob("*")) == before


def test_a_damaged_database_makes_no_backup(home: Path, tmp_path: Path) -> None:
    database = home / "data" / "directory.sqlite"
    raw = bytearray(database.read_bytes())
    raw[4096:4200] = b"\xff" * 104
    database.write_bytes(raw)
    with pytest.raises(Exception, match="directory"):
        back_up(config_of(home), tmp_path / "backup", bootstrap=None)
    assert list((tmp_path / "backup").iterdir()) == []


def test_what_is_done_to_a_backup_is_not_done_to_the_state(kept: Path, home: Path) -> None:
    inside = Path("content") / MAIL[-2:] / MAIL
    (kept / "home" / inside).chmod(0o644)
    (kept / "home" / inside).write_bytes(b"forged")
    assert (home / inside).stat().st_mode & 0o777 == 0o600
    assert (home / inside).read_bytes().startswith(b"Subject: kept")


def test_a_backup_does_not_fill_the_disk_of_the_state(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "FREE_LEFT_BYTES", 2**62)
    monkeypatch.setattr(backup, "FREE_LEFT_SHARE", 1.0)
    with pytest.raises(Refused, match="use another disk"):
        back_up(config_of(home), tmp_path / "backup", bootstrap=None)
    assert list((tmp_path / "backup").iterdir()) == []
    assert asyncio.run(leases_of(home)) == []


async def leases_of(home: Path) -> list[Lease]:
    async with AsyncExitStack() as stack:
        return await (await Adapters(home, stack).content_sweep()).leases()


def test_contents_are_leased_until_the_backup_ends(home: Path) -> None:
    """The sweep notices the lease's beat; a backup without a live lease at its end fails."""
    with contents_kept(config_of(home), "a test", beat_s=0.02):
        (first,) = asyncio.run(leases_of(home))
        deadline = time.monotonic() + 30
        while asyncio.run(leases_of(home))[0].beats <= first.beats + 1:
            assert time.monotonic() < deadline
    assert first.purpose == "a test"
    assert asyncio.run(leases_of(home)) == []

    async def end_all() -> None:
        async with AsyncExitStack() as stack:
            contents = await Adapters(home, stack).content_sweep()
            for lease in await contents.leases():
                await contents.end_lease(lease.lease_id)

    with (
        pytest.raises(Refused, match="the lease expired"),
        contents_kept(config_of(home), "a test"),
    ):
        asyncio.run(end_all())


def test_a_state_of_an_older_version_is_not_changed_by_its_backup(
    home: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(home / "data" / "content.sqlite")) as content, content:
        for table in ("loose", "lease"):
            content.execute(f"DROP TABLE {table}")
        content.execute("PRAGMA user_version=1")
    made = back_up(config_of(home), tmp_path / "backup", bootstrap=None)
    assert made.schemas["content.sqlite"] == 1
    restore(config_of(tmp_path / "again"), tmp_path / "backup")
    assert asyncio.run(content_of(tmp_path / "again")) == b"Subject: small\r\n\r\n"


async def test_files_are_copied_as_of_one_instant(tmp_path: Path) -> None:
    """A row is written to the first file, then to the second: never seen in the second alone."""
    first = await SqliteHolders.open(tmp_path / "first.sqlite")
    second = await SqliteHolders.open(tmp_path / "second.sqlite")

    async def write() -> None:
        for number in range(10_000):
            row = Holder(mail_id=str(number), holder="user:u", ref="r")
            await first.hold([row])
            await second.hold([row])

    def counts() -> tuple[int, int]:
        paths = [tmp_path / "first.sqlite", tmp_path / "second.sqlite"]
        with consistent_snapshots(paths[::-1]) as views:
            query = "SELECT count(*) FROM holder"
            return tuple(views[path].connection.execute(query).fetchone()[0] for path in paths)

    writing = asyncio.create_task(write())
    try:
        seen = [await asyncio.to_thread(counts) for _ in range(40)]
        while seen[-1][0] == seen[0][0]:  # a slow disk
            seen.append(await asyncio.to_thread(counts))
    finally:
        writing.cancel()
        await asyncio.wait([writing])
        await first.close()
        await second.close()
    assert all(one - two in {0, 1} for one, two in seen), seen
