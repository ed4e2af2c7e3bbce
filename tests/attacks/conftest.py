"""Fixtures: one running Postriver for all attacks, which must not change its state."""

from collections.abc import Iterator

import pytest

from tests.support.stack_world import Client, World, world


@pytest.fixture(scope="package")
def attacked() -> Iterator[World]:
    """`World.send` comes from a trusted network; attackers have other addresses of 127.0.0.0/8."""
    with world() as stack:
        yield stack


@pytest.fixture(scope="package")
def ann(attacked: World) -> Client:
    return attacked.add_user("ann@postriver.test")
