"""One running Postriver for the attacks that must leave it as it was."""

from collections.abc import Iterator

import pytest

from tests.support.stack_world import Client, World, world


@pytest.fixture(scope="session")
def attacked() -> Iterator[World]:
    """`World.send` comes from a trusted network; attackers have other addresses of 127.0.0.0/8."""
    with world() as mine:
        yield mine


@pytest.fixture(scope="session")
def ann(attacked: World) -> Client:
    return attacked.add_user("ann@postriver.test")
