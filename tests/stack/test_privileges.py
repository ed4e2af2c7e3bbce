import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from stack.privileges import PrivilegeError, opened_folder
from tests.support import ROOT

BECOME = (
    "import os, sys; from pathlib import Path\n"
    "from stack.privileges import become, PrivilegeError\n"
    "try: become(Path(sys.argv[1]), user=sys.argv[2])\n"
    "except PrivilegeError as error: sys.exit(str(error))\n"
    "print(os.getuid(), os.getgid(), os.getgroups(), os.umask(0o077))"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def become(home: Path, user: str = "postriver") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", BECOME, str(home), user]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)


@as_root
def test_root_becomes_the_service_user_and_gives_it_the_new_folder(home_path: Path) -> None:
    service = pwd.getpwnam("postriver")
    done = become(home_path)
    assert done.stdout.split() == [str(service.pw_uid), str(service.pw_gid), "[]", str(0o077)], done
    assert home_path.stat().st_uid == service.pw_uid


@as_root
def test_root_becomes_whoever_owns_the_state(home_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    (home_path / "version").write_text("1\n")
    os.chown(home_path, nobody.pw_uid, nobody.pw_gid)
    assert become(home_path).stdout.startswith(f"{nobody.pw_uid} {nobody.pw_gid} []")


@as_root
def test_state_of_root_and_a_missing_user_are_refused_with_the_remedy(home_path: Path) -> None:
    assert "`make run` creates it" in become(home_path, "nobody-here").stderr
    (home_path / "version").write_text("1\n")
    assert "chown -R postriver:" in become(home_path).stderr


@as_root
def test_a_home_in_a_private_folder_is_refused_with_the_remedy(home_path: Path) -> None:
    home = home_path / "private" / "home"
    home.parent.mkdir(mode=0o700)
    assert f"cannot use {home}" in become(home).stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="for everybody but root")
def test_others_stay_who_they_are(home_path: Path) -> None:
    assert become(home_path).stdout.startswith(f"{os.getuid()} ")


def test_a_link_in_the_folders_place_is_not_followed(home_path: Path) -> None:
    (home_path / "target").mkdir()
    (home_path / "link").symlink_to("target")
    with pytest.raises(PrivilegeError, match="or a link"), opened_folder(home_path / "link"):
        pass
    with opened_folder(home_path / "target") as folder:
        (home_path / "target").rename(home_path / "moved")
        (home_path / "target").symlink_to("/etc")
        assert os.fstat(folder).st_ino == (home_path / "moved").stat().st_ino
