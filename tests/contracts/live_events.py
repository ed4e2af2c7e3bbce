"""Contract of the LiveEvents port.

Fixtures: `live_events`; `emit`, an async function that returns once its events have passed every
sink.
"""

from tests.support.event_builders import answered


class LiveEventsContract:
    async def test_a_sink_gets_the_events_of_its_user_in_order(self, live_events, emit):
        alice, bob = [], []
        live_events.subscribe("alice", alice.append)
        live_events.subscribe("bob", bob.append)
        events = [answered("alice", "1"), answered("bob", "2"), answered("alice", "3")]
        await emit(*events, answered("carol", "4"))
        assert alice == [events[0], events[2]]
        assert bob == [events[1]]

    async def test_a_sink_gets_nothing_from_before_its_subscription(self, live_events, emit):
        await emit(answered("alice", "before"))
        events = []
        live_events.subscribe("alice", events.append)
        after = answered("alice", "after")
        await emit(after)
        assert events == [after]

    async def test_an_unsubscribed_sink_gets_nothing_and_others_go_on(self, live_events, emit):
        first, second = [], []
        unsubscribe = live_events.subscribe("alice", first.append)
        live_events.subscribe("alice", second.append)
        events = [answered("alice", "1"), answered("alice", "2")]
        await emit(events[0])
        unsubscribe()
        unsubscribe()
        await emit(events[1])
        assert first == events[:1]
        assert second == events
