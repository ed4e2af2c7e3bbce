"""The broker that all tests outside the streams' worker share."""

import pytest

from tests.support.broker import Broker


@pytest.fixture
def broker(shared_broker: Broker) -> Broker:
    return shared_broker
