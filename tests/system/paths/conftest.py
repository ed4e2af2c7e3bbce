"""One running Postriver for the tests that do not break it."""

from collections.abc import Iterator

import pytest

from tests.support.stack_world import Client, World, world


@pytest.fixture(scope="package")
def running() -> Iterator[World]:
    with world(POSTRIVER_LOG_FORMAT="json") as mine:
        yield mine


@pytest.fixture(scope="package")
def ann(running: World) -> Client:
    return running.add_user("ann@postriver.test")
