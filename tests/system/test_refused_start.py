"""A start on engines of a newer version ends at once, says why, and leaves nothing running."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from cli.config.config import load
from cli.wiring.profile import adapters
from schemas.versions.topics import TOPICS_VERSION
from stack.state_folder import lock_holder
from stack.supervision.program import REFUSED
from tests.support.stack_world import PROFILE, World, world

NEWER = TOPICS_VERSION + 1
SETTING = "version:topics"


@pytest.mark.parametrize("options", [("--detach",), ()], ids=["detached", "foreground"])
def test_newer_topics_end_the_start(stopped: World, options: tuple[str, ...]) -> None:
    began_s = time.monotonic()
    done = stopped.cli("up", *options, check=False, timeout_s=500)
    assert time.monotonic() - began_s < 170, "the limit of a start is 180 s"
    assert done.returncode == REFUSED
    what = f"postriver: the topics have version {NEWER}, this Postriver knows {TOPICS_VERSION}"
    assert done.stderr.splitlines()[-1] == what
    assert lock_holder(stopped.home) is None
    assert stopped.look()["state"] == "down"


@pytest.fixture(scope="module")
def stopped() -> Iterator[World]:
    """A stack that is down, whose topics are of a newer version."""
    with world() as mine:
        if PROFILE == "distributed":
            asyncio.run(_set_in_cassandra(mine))
        mine.down()
        if PROFILE == "embedded":
            _set_in_the_file(mine)
        yield mine


async def _set_in_cassandra(mine: World) -> None:
    async with adapters(load(mine.env)) as opened:
        directory = await opened.directory()
        assert await directory.setting(SETTING) == str(TOPICS_VERSION)
        await directory.set_setting(SETTING, str(NEWER))


def _set_in_the_file(mine: World) -> None:
    with closing(sqlite3.connect(mine.home / "data" / "directory.sqlite")) as file, file:
        changed = file.execute("UPDATE setting SET value = ? WHERE name = ?", (str(NEWER), SETTING))
        assert changed.rowcount == 1
