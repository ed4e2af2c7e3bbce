"""One running Postriver for the tests that do not break it."""

from collections.abc import Iterator

import pytest

from tests.support.far_domain import FarDomain, far_domain
from tests.support.stack_world import Client, World, world


@pytest.fixture(scope="package")
def far() -> Iterator[FarDomain]:
    """Another domain, to which the running stack sends mail."""
    with far_domain() as domain:
        yield domain


@pytest.fixture(scope="package")
def running(far: FarDomain) -> Iterator[World]:
    with world(POSTRIVER_LOG_FORMAT="json", **far.settings) as mine:
        yield mine


@pytest.fixture(scope="package")
def ann(running: World) -> Client:
    return running.add_user("ann@postriver.test")
