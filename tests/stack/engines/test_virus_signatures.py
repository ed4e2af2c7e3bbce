"""What a folder of signatures is called, and how it comes to clamd."""

import os
import time
from pathlib import Path

import pytest

from stack.engines.clamd import ClamdConfig, clamd
from stack.engines.freshclam import NO_MIRROR, FreshclamConfig, FreshclamMissing, freshclam
from stack.engines.virus_signatures import OLD_S, folder_for, look, prepare
from stack.state_folder import StateFolder, claimed

DAY_S = 86_400


def official(folder: Path, *, built_at_s: float, version: int = 27800) -> Path:
    """The look of an official set: a text header of 512 bytes."""
    folder.mkdir(exist_ok=True)
    for name in ("main.cvd", "daily.cld"):
        header = f"ClamAV-VDB:20 Nov 2026 08-31 +0000:{version}:1:90:md5:dsig:me:{built_at_s:.0f}"
        (folder / name).write_text(header.ljust(512))
    return folder


def test_a_set_is_official_only_when_whole_and_tells_its_age(tmp_path: Path) -> None:
    folder = official(tmp_path / "clamav", built_at_s=time.time() - 5.5 * 3600)
    assert str(look(folder)) == "official 27800, 5 h old"
    assert look(folder).warnings() == []
    official(folder, built_at_s=time.time() - OLD_S - 1.5 * DAY_S)
    assert look(folder).warnings() == ["virus signatures: official 27800, 4 days old"]
    (folder / "main.cvd").unlink()
    assert look(folder).kind == "own"
    (folder / "daily.cld").unlink()
    assert look(folder).warnings() == look(folder / "none").warnings()
    assert look(folder).warnings() == ["virus signatures: TEST SET ONLY"]


def test_a_set_of_ones_own_is_as_old_as_its_newest_file(tmp_path: Path) -> None:
    for name, age_s in (("a.ndb", 9 * DAY_S), ("b.yara", 1.1 * DAY_S), ("notes.txt", 0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, time.time() - age_s))
    assert str(look(tmp_path)) == "own, 26 h old"


@pytest.fixture
def home(home_path: Path):
    with claimed(home_path) as claimed_home:
        yield claimed_home


def test_the_machines_official_set_is_read_in_place_or_copied_before_a_fetch(
    home: StateFolder, tmp_path: Path
) -> None:
    theirs = official(tmp_path / "clamav", built_at_s=time.time())
    assert prepare(home, update=False, official=theirs) == theirs
    assert look(home.signatures).kind == "test"
    assert prepare(home, update=True, official=theirs) == home.signatures
    assert look(home.signatures).kind == "official"
    assert folder_for(home, update=False, official=tmp_path / "none") == home.signatures
    official(home.signatures, built_at_s=time.time(), version=27801)
    prepare(home, update=True, official=theirs)
    assert look(home.signatures).version == "27801", "what was fetched is not put back"


def test_two_sets_at_once_only_where_they_fit(home: StateFolder) -> None:
    for memory_gib, wanted in ((4, "no"), (8, "yes")):
        clamd(home, ClamdConfig(memory_bytes=memory_gib * 1024**3))
        conf = (home.engine("clamd") / "clamd.conf").read_text()
        assert f"ConcurrentDatabaseReload {wanted}\n" in conf


def test_without_a_mirror_nobody_outside_is_asked(home: StateFolder) -> None:
    freshclam(home, FreshclamConfig(mirror=NO_MIRROR, urls=("file:///a.ndb",)))
    conf = (home.engine("freshclam") / "freshclam.conf").read_text()
    assert "clamav.net" not in conf
    assert "DatabaseCustomURL file:///a.ndb\n" in conf
    with pytest.raises(FreshclamMissing, match="apt install"):
        freshclam(home, FreshclamConfig(program=home.path / "none"))
