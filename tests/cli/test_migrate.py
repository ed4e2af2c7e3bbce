"""postriver migrate on files of this machine: once, twice, by two at once, and refused."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cli.wiring.store_files import SCHEMAS
from stack.state_folder import claimed
from stack.supervision.client import write_settings
from tests.support.stack_world import World, folder_of

OLD = Path(__file__).parents[1] / "system" / "upgrade" / "0.1.0-receiving.tar.xz"


@pytest.fixture
def world() -> Iterator[World]:
    """A home that no stack uses yet."""
    with folder_of("migrate") as top:
        yield World(top / "home", 61000, {"POSTRIVER_PROFILE": "embedded"})


@pytest.fixture
def old(world: World) -> World:
    """The state of an older version."""
    subprocess.run(["tar", "-xJf", OLD, "-C", world.home.parent], check=True)
    if os.geteuid() == 0:  # a command as root becomes the owner of the folder
        for path in (world.home, *world.home.rglob("*")):
            shutil.chown(path, "postriver", "postriver")
    return world


def migrate(world: World, *more: str) -> dict[str, Any]:
    return json.loads(world.cli("migrate", "--json", *more).stdout)


def versions(world: World) -> dict[str, int]:
    found = {}
    for path in sorted((world.home / "data").rglob("*.sqlite")):
        connection = sqlite3.connect(path)
        (found[path.name],) = connection.execute("PRAGMA user_version").fetchone()
        connection.close()
    return found


def of_files(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [change for change in report["changes"] if change["engine"] == "sqlite"]


def test_a_new_home_gets_every_file_and_the_broker_waits_for_the_start(world: World) -> None:
    dry = migrate(world, "--dry-run")
    assert dry["dry_run"] is True
    assert not world.home.exists()
    done = migrate(world)
    assert done["changes"] == dry["changes"]
    assert {change["part"] for change in of_files(done)} == set(SCHEMAS)
    assert versions(world) == {name: len(steps) for name, steps in SCHEMAS.items()}
    assert list(done["put_off"]) == ["kafka"]
    assert migrate(world)["changes"] == []
    assert "nothing to do" in world.cli("migrate").stdout


def test_an_older_home_is_migrated_by_two_at_once_and_then_no_more(old: World) -> None:
    before = versions(old)
    due = of_files(migrate(old, "--dry-run"))
    assert versions(old) == before
    assert {(each["part"].rpartition("/")[2], each["found"]) for each in due} >= set(before.items())
    with ThreadPoolExecutor(2) as threads:
        reports = [*threads.map(lambda _: migrate(old), range(2))]
    done = Counter(each["part"] for report in reports for each in of_files(report))
    assert done == Counter({each["part"]: 1 for each in due})
    assert versions(old).items() >= {name: len(steps) for name, steps in SCHEMAS.items()}.items()
    assert migrate(old)["changes"] == []


def test_a_newer_file_is_refused_and_no_other_file_is_changed(old: World) -> None:
    newer = old.home / "data" / "quarantine.sqlite"
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = versions(old)
    for more in ((), ("--dry-run",)):
        refused = old.cli("migrate", *more, check=False)
        assert refused.returncode == 1
        assert "quarantine.sqlite has schema 99, this program knows up to" in refused.stderr
    report = old.cli("migrate", "--json", check=False)
    assert (report.returncode, "schema 99" in json.loads(report.stdout)["error"]) == (1, True)
    assert versions(old) == before


def test_a_newer_state_folder_is_refused(world: World) -> None:
    migrate(world)
    (world.home / "version").write_text("9\n")
    refused = world.cli("migrate", check=False)
    assert (refused.returncode, "state has version 9" in refused.stderr) == (1, True)


def test_files_that_a_running_stack_has_open_are_not_migrated(old: World) -> None:
    before = versions(old)
    with claimed(old.home) as home:  # as the supervisor holds it
        write_settings(home, {"POSTRIVER_PROFILE": "embedded"})
        for path in (old.home, *old.home.rglob("*")):
            if os.geteuid() == 0:
                shutil.chown(path, "postriver", "postriver")
        refused = old.cli("migrate", check=False)
    assert refused.returncode == 1
    assert "the stack runs, and mail.sqlite" in refused.stderr
    assert versions(old) == before
