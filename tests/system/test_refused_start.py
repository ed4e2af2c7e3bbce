"""A start on engines of a newer version ends at once, says why, and leaves nothing running."""

import sqlite3
import time
from contextlib import closing

import pytest

from schemas.versions.topics import TOPICS_VERSION
from stack.state_folder import lock_holder
from stack.supervision.program import REFUSED
from tests.support.stack_world import PROFILE, World, world


@pytest.mark.skipif(PROFILE != "embedded", reason="the version is written into a file here")
@pytest.mark.parametrize("options", [("--detach",), ()], ids=["detached", "foreground"])
def test_newer_topics_end_the_start(stopped: World, options: tuple[str, ...]) -> None:
    newer = TOPICS_VERSION + 1
    with closing(sqlite3.connect(stopped.home / "data" / "directory.sqlite")) as file, file:
        changed = file.execute(
            "UPDATE setting SET value = ? WHERE name = 'version:topics'", (str(newer),)
        )
        assert changed.rowcount == 1
    began_s = time.monotonic()
    done = stopped.cli("up", *options, check=False, timeout_s=500)
    assert time.monotonic() - began_s < 170, "the limit of a start is 180 s"
    assert done.returncode == REFUSED
    what = f"postriver: the topics have version {newer}, this Postriver knows {TOPICS_VERSION}"
    assert done.stderr.splitlines()[-1] == what
    assert lock_holder(stopped.home) is None
    assert stopped.look()["state"] == "down"


@pytest.fixture(scope="module")
def stopped() -> World:
    with world() as mine:
        mine.down()
        yield mine
