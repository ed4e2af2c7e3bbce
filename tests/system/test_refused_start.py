"""A start on engines of a newer version ends at once, says why, and leaves nothing running."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from schemas.versions.topics import TOPICS_VERSION
from stack.state_folder import lock_holder
from stack.supervision.program import REFUSED
from tests.support.stack_world import World, world

NEWER = TOPICS_VERSION + 1
SET_VERSION = """
import asyncio, sys
from cli.config.config import load
from cli.wiring.profile import adapters

async def main(name: str, before: str, after: str) -> None:
    async with adapters(load()) as opened:
        directory = await opened.directory()
        assert await directory.exchange_setting(name, before, after)

asyncio.run(main(*sys.argv[1:]))
"""


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
        versions = ("version:topics", str(TOPICS_VERSION), str(NEWER))
        # A process of its own, because it becomes the owner of the state folder.
        subprocess.run([sys.executable, "-c", SET_VERSION, *versions], env=mine.env, check=True)
        mine.down()
        yield mine
