"""Memory adapters of the stream ports, each held to its contract."""

import pytest

from mail.errors import BrokerUnavailable
from stores.memory import MemoryLiveEvents, MemoryMailboxStates, MemoryPublisher
from tests.contracts.live_events import LiveEventsContract
from tests.contracts.mailbox_states import MailboxStatesContract
from tests.contracts.publisher import PublisherContract


class TestMemoryPublisher(PublisherContract):
    @pytest.fixture
    def publisher(self):
        return MemoryPublisher()

    @pytest.fixture
    def published(self, publisher):
        async def events_of(user_id):
            return [event for event in publisher.events if event.user_id == user_id]

        return events_of

    @pytest.fixture
    def unreachable_publisher(self):
        def fault(_step):
            raise BrokerUnavailable

        return MemoryPublisher(fault=fault)


class TestMemoryLiveEvents(LiveEventsContract):
    @pytest.fixture
    def live_events(self):
        return MemoryLiveEvents()

    @pytest.fixture
    def emit(self, live_events):
        async def emit_events(*events):
            live_events.emit(*events)

        return emit_events


class TestMemoryMailboxStates(MailboxStatesContract):
    @pytest.fixture
    def states(self):
        return MemoryMailboxStates()

    @pytest.fixture
    def reassign(self, states):
        return states.reassign
