"""Contract of the Publisher port.

Fixtures: `publisher`; `published`, a function that returns the events of one user on the topic, in
order; `unreachable_publisher`, whose broker does not answer.
"""

import pytest

from mail.errors import BrokerUnavailable
from mail.ids import new_id
from tests.support.event_builders import answered


class PublisherContract:
    async def test_published_events_are_there_when_publish_returns(self, publisher, published):
        user_id = new_id()
        events = [answered(user_id, f"c{number}") for number in range(2)]
        await publisher.publish(*events)
        assert await published(user_id) == events

    async def test_events_of_one_key_keep_their_order(self, publisher, published):
        users = [new_id(), new_id()]
        events = [answered(users[number % 2], f"c{number}") for number in range(300)]
        await publisher.publish(*events[:290])
        await publisher.publish(*events[290:])
        for user_id in users:
            expected = [event for event in events if event.user_id == user_id]
            assert await published(user_id) == expected

    async def test_publish_of_no_events_publishes_nothing(self, publisher, published):
        await publisher.publish()
        assert await published(new_id()) == []

    async def test_publish_without_a_broker_raises_broker_unavailable(self, unreachable_publisher):
        with pytest.raises(BrokerUnavailable):
            await unreachable_publisher.publish(answered("u1", "c1"))
