import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stack.state_folder import (
    FOLDERS,
    SOCKET_PATH_MAX_BYTES,
    AlreadyRunning,
    NewerState,
    NoState,
    StateFolderError,
    claimed,
    existing,
    lock_holder,
    socket_path,
)
from tests.support import ROOT


def test_a_new_folder_gets_its_version_and_private_folders(home_path: Path) -> None:
    with claimed(home_path / "new") as home:
        for path in (home.path, *(home.path / name for name in FOLDERS)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert (home.path / "version").read_text() == "1\n"
        assert existing(home.path) == home


def test_a_newer_state_is_refused_untouched(home_path: Path) -> None:
    (home_path / "version").write_text("2\n")
    with pytest.raises(NewerState, match="version 2"), claimed(home_path):
        pass
    with pytest.raises(NewerState):
        existing(home_path)
    assert (home_path / "version").read_text() == "2\n"


def test_an_older_state_is_migrated_step_by_step_and_goes_on_after_a_crash(home_path: Path) -> None:
    done = []

    def crash(path: Path) -> None:
        raise RuntimeError("power cut")

    with claimed(home_path):
        pass
    interrupted = {1: lambda _: done.append(1), 2: crash}
    with pytest.raises(RuntimeError), claimed(home_path, version=3, migrations=interrupted):
        pass
    with claimed(home_path, version=3, migrations={2: lambda _: done.append(2)}):
        assert (home_path / "version").read_text() == "3\n"
    assert done == [1, 2]


@pytest.mark.parametrize(("name", "text"), [("thesis.odt", "x"), ("version", "one")])
def test_a_folder_that_is_not_ours_is_refused(home_path: Path, name: str, text: str) -> None:
    (home_path / name).write_text(text)
    with pytest.raises(StateFolderError), claimed(home_path):
        pass
    assert [entry.name for entry in home_path.iterdir()] == [name]


def test_nothing_there_is_said_as_such(home_path: Path) -> None:
    with pytest.raises(NoState, match="make run"):
        existing(home_path / "none")


def test_a_second_claim_names_the_holder_until_the_holder_is_killed(home_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from stack.state_folder import claimed\n"
        "with claimed(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(home_path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == b"held\n"
        assert lock_holder(home_path) == holder.pid
        with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}"), claimed(home_path):
            pass
        holder.kill()
        holder.wait()
    assert lock_holder(home_path) is None
    with claimed(home_path):
        assert lock_holder(home_path) == os.getpid()


def test_a_long_home_has_its_sockets_in_a_private_short_folder(home_path: Path) -> None:
    assert socket_path(home_path, "scan") == home_path.resolve() / "run" / "scan.sock"
    deep = home_path / ("d" * 90)
    path = socket_path(deep, "scan")
    assert len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES
    assert path == socket_path(deep, "scan") != socket_path(home_path / ("e" * 90), "scan")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.parent.chmod(0o755)  # another program may have made it
    with pytest.raises(StateFolderError):
        socket_path(deep, "scan")
    path.parent.rmdir()
    socket_path(home_path / ("e" * 90), "scan").parent.rmdir()
