"""The broker that these tests share with those of other packages."""

import pytest

from tests.support.broker import Broker


@pytest.fixture
def broker(shared_broker: Broker) -> Broker:
    return shared_broker
