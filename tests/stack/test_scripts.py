"""The parts of the installation that can be tried without installing anything."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from cli.doctor.engines import wrong_files
from tests.support import ROOT

SOURCES = (
    "set -euo pipefail; umask 022\n"
    "for part in lib place packages steps web removal; do . scripts/$part.sh; done\n"
)


def bash(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = ["bash", "-c", SOURCES + code]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **env}
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, env=env)


def test_the_copy_follows_the_checkout_and_keeps_what_was_made_in_it(tmp_path: Path) -> None:
    checkout, copies = tmp_path / "checkout", tmp_path / "copies"
    copy = copies / "one"
    for name in ("stack", ".venv", ".tools", ".git"):
        (checkout / name).mkdir(parents=True)
        (checkout / name / "file").write_text("checkout's")
    (checkout / "stack" / "old.py").touch(mode=0o600)
    refresh = f"COPIES={copies}; refresh_copy {checkout} {copy}"
    assert "copying" in bash(refresh).stderr
    assert sorted(entry.name for entry in copy.iterdir()) == ["stack"]
    assert (copy / "stack" / "old.py").stat().st_mode & 0o777 == 0o644
    (copy / ".venv").mkdir()
    (copy / ".venv" / "file").write_text("copy's")
    assert bash(refresh).stderr == ""
    (checkout / "stack" / "old.py").rename(checkout / "stack" / "new.py")
    assert "copying" in bash(refresh).stderr
    assert sorted(entry.name for entry in (copy / "stack").iterdir()) == ["file", "new.py"]
    assert (copy / ".venv" / "file").read_text() == "copy's"


@pytest.mark.parametrize("target", ["reset", "uninstall"])
def test_nothing_is_deleted_without_an_explicit_yes(home_path: Path, target: str) -> None:
    (home_path / "version").write_text("1\n")
    refused = bash(f"{target} </dev/null", POSTRIVER_HOME=str(home_path), CI="true")
    assert refused.returncode == 2
    assert "Nothing removed" in refused.stderr
    assert (home_path / "version").exists()


def test_reset_deletes_state_folders_only(home_path: Path) -> None:
    yes = {"POSTRIVER_HOME": str(home_path), "POSTRIVER_ASSUME_YES": "1"}
    (home_path / "thesis.odt").touch()
    assert bash("reset </dev/null", **yes).returncode == 1
    assert (home_path / "thesis.odt").exists()


def test_without_apt_the_missing_programs_are_named() -> None:
    refused = bash("PATH=/nowhere; ask_for 'maven spamd'")
    assert refused.returncode == 2
    assert "no apt; install what gives: maven spamd" in refused.stderr


def test_a_python_is_found_that_can_make_environments() -> None:
    path = bash("find_python").stdout.strip()
    assert subprocess.run([path, "-c", "import venv, ensurepip"], check=False).returncode == 0


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    """A folder with two jars, and the list of their checksums."""
    folder = tmp_path / "lib"
    folder.mkdir()
    for name in ("a.jar", "b.jar"):
        (folder / name).write_text(name)
    (tmp_path / "stack" / "engines").mkdir(parents=True)
    listed = subprocess.check_output(["sha256sum", "a.jar", "b.jar"], cwd=folder)
    (tmp_path / "stack" / "engines" / "jars.sha256").write_bytes(listed)
    return folder


def checked(jars: Path) -> subprocess.CompletedProcess[str]:
    return bash(f"cd {jars.parent}; check_jars {jars}")


@pytest.mark.parametrize("name", ["c.jar", "c\\d.jar", "c\nd.jar", ".hidden", "c.class"])
def test_a_file_that_is_not_listed_is_not_installed(jars: Path, name: str) -> None:
    assert checked(jars).returncode == 0
    (jars / name).touch()
    assert "more files than" in checked(jars).stderr
    assert wrong_files(jars, jars.parent / "stack" / "engines" / "jars.sha256") == [name]


def test_a_jar_that_differs_or_is_missing_is_not_installed(jars: Path) -> None:
    listed = jars.parent / "stack" / "engines" / "jars.sha256"
    assert wrong_files(jars, listed) == []
    (jars / "b.jar").write_text("other")
    assert "b.jar: FAILED" in checked(jars).stderr
    assert wrong_files(jars, listed) == ["b.jar"]
    (jars / "b.jar").unlink()
    assert checked(jars).returncode == 1
    assert wrong_files(jars, listed) == ["b.jar"]


def test_everything_that_is_fetched_is_pinned() -> None:
    steps = (ROOT / "scripts" / "steps.sh").read_text()
    assert "--require-hashes" in steps
    assert (ROOT / "scripts" / "uv.txt").read_text().count("--hash=sha256:") > 2
    assert "hash_of stack/engines/pom.xml stack/engines/jars.sha256" in steps
    pom = (ROOT / "stack" / "engines" / "pom.xml").read_text()
    assert re.search(r"maven-dependency-plugin</artifactId>\s*<version>[\d.]+<", pom)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_no_copy_is_run_below_a_folder_that_is_not_roots(tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "one"
    copy.mkdir(parents=True)
    above = f"only_root_writes_above {copy}"
    assert "can be changed by others than root" in bash(above.replace(str(tmp_path), "/tmp")).stderr
    assert bash("only_root_writes_above /usr/local/lib/postriver/one").returncode == 0
    os.chown(copy.parent, 65534, 65534)
    assert f"{copy.parent} can be changed" in bash(above).stderr


def test_files_that_the_scripts_name_exist() -> None:
    """A missing sample file would make every checkout look unreadable to the service user."""
    names = {
        name
        for script in (ROOT / "scripts").iterdir()
        for name in re.findall(
            r"(?<![\w./])(?:\$1/|\$PWD/)?((?:stack|scripts)/[\w/-]+\.\w+)", script.read_text()
        )
    }
    assert "stack/state_folder.py" in names
    assert [name for name in names if not (ROOT / name).exists()] == []
