"""Fixtures: one running Postriver for all attacks, which must not change its state."""

from collections.abc import Iterator

import pytest

from tests.support.far_domain import FarDomain, far_domain
from tests.support.stack_world import UNLIMITED_SENDING, Client, World, world


@pytest.fixture(scope="package")
def far() -> Iterator[FarDomain]:
    """The domain of other people, to which the attacked stack relays mail of its users."""
    with far_domain() as domain:
        yield domain


@pytest.fixture(scope="package")
def attacked(far: FarDomain) -> Iterator[World]:
    """`World.send` comes from a trusted network; attackers have other addresses of 127.0.0.0/8."""
    with world(**far.settings, **UNLIMITED_SENDING, POSTRIVER_UNDO_S="0") as stack:
        yield stack


@pytest.fixture(scope="package")
def ann(attacked: World) -> Client:
    return attacked.add_user("ann@postriver.test")


@pytest.fixture(scope="package")
def ben(attacked: World) -> Client:
    return attacked.add_user("ben@postriver.test")
