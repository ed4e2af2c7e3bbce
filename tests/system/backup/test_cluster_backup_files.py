"""Backups of the distributed profile without engines: what is refused, and by which name."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from cli.backup import manifest as form
from cli.backup.cluster_backup import (
    ROWS,
    ClusterBackup,
    CopiedContent,
    known_schemas,
)
from cli.backup.cluster_restore import pending
from cli.backup.manifest import Manifest, NotABackup, Sums
from cli.backup.restore import restore
from cli.config.config import Config, load
from mail.errors import Fatal, Refused
from stores.cassandra.backup.rows import CopiedRows
from streams.framed_file import FramedFile, values

USERS = CopiedRows("setting", ("name", "row"), [("a", b"1"), ("b", None)])
MANIFEST = Manifest(
    format=form.FORMAT, postriver="1", state=1, began_at="now", ended_at="now", files=2,
    size_bytes=9, sums_sha256="", schemas=known_schemas(), log=None, settings={},
    profile="distributed",
)  # fmt: skip


def config_of(home: Path, profile: str = "distributed") -> Config:
    return load({"POSTRIVER_HOME": str(home), "POSTRIVER_PROFILE": profile})


def written(path: Path, *made: object) -> Path:
    with closing(FramedFile(path, lambda _: None)) as file:
        for value in made:
            file.add(value)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A backup with one table and one content."""
    folder = tmp_path / "backup"
    for name in (form.CLUSTER, form.HOME):
        (folder / name).mkdir(parents=True)
    (folder / form.HOME / "profile").write_text("distributed\n")
    written(folder / form.CLUSTER / ROWS, USERS)
    written(folder / form.CLUSTER / "contents-000001.records", CopiedContent("m1", b"Hello"))
    with closing(Sums(folder)) as sums:
        for path in (path for path in folder.rglob("*") if path.is_file()):
            if path.name != form.SUMS:
                sums.add(path)
    finished(folder)
    return folder


def finished(folder: Path, **fields: object) -> None:
    sums = form.sha256_of(folder / form.SUMS)
    form.write(folder, msgspec.structs.replace(MANIFEST, sums_sha256=sums, **fields))


def test_the_backup_is_put_where_the_first_start_looks(folder: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path / "home")
    assert pending(config) is None
    restore(config, folder)
    found = pending(config)
    assert found is not None
    assert list(values(found.folder / ROWS, CopiedRows)) == [USERS]
    assert [one.octets for one in found._contents()] == [b"Hello"]
    assert (config.home / "profile").read_text() == "distributed\n"
    assert len((found.folder / form.RESTORE_ID).read_text()) == 36
    with pytest.raises(Refused, match="is not empty"):
        restore(config, folder)
    with closing(Sums(tmp_path)) as sums, pytest.raises(Refused, match="a restore is not finished"):
        ClusterBackup(config, tmp_path, sums).copy(None)


@pytest.mark.parametrize("made_for", ["embedded", "distributed"])
def test_a_backup_of_the_other_profile_is_refused(
    folder: Path, tmp_path: Path, made_for: str
) -> None:
    finished(folder, profile=made_for, schemas={})
    (other,) = {"embedded", "distributed"} - {made_for}
    with pytest.raises(NotABackup, match=f"set POSTRIVER_PROFILE={made_for}"):
        restore(config_of(tmp_path / "home", other), folder)
    assert not (tmp_path / "home").exists()


def test_a_backup_with_newer_tables_is_refused(folder: Path, tmp_path: Path) -> None:
    finished(folder, schemas=known_schemas() | {"cassandra/mail": 99})
    with pytest.raises(NotABackup, match=r"cassandra/mail has schema 99, ours goes to \d+"):
        restore(config_of(tmp_path / "home"), folder)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", [ROWS, "contents-000001.records"])
def test_a_file_that_was_cut_short_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    path = folder / form.CLUSTER / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NotABackup, match=f"cluster/{name} is damaged"):
        restore(config_of(tmp_path / "home"), folder)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"\0\0", "cut short"),
        (b"\0\0\0\x09\x93", "cut short"),
        (b"\0\0\0\x01\x01", "damaged"),
        (b"\0\0\0\x00", "damaged"),
    ],
)
def test_a_file_that_was_damaged_after_the_restore_stops_the_start(
    tmp_path: Path, octets: bytes, why: str
) -> None:
    path = tmp_path / "rows"
    path.write_bytes(octets)
    with pytest.raises(Fatal, match=why):
        list(values(path, CopiedRows))
    with pytest.raises(Fatal, match="damaged"):
        list(values(tmp_path / "none", CopiedRows))


def test_what_was_added_since_a_mark_is_forgotten(tmp_path: Path) -> None:
    rooms: list[int] = []
    with closing(FramedFile(tmp_path / "rows", rooms.append)) as file:
        file.add(1)
        mark = file.mark()
        for _ in range(3):
            file.rewind(mark)
            file.add("longer")
            file.add(2)
        file.rewind(file.mark())
    assert list(values(tmp_path / "rows", object)) == [1, "longer", 2]
    assert rooms == [1, *[7, 1] * 3]
