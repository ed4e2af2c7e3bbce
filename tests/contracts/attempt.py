"""Contract of the Attempt port.

Fixtures: `make_attempt`, a function of the offset that returns the first try of an event;
`acknowledge`, a function that ends a try as published.
"""

from schemas.events.mailbox_events import Position


class AttemptContract:
    def test_a_first_try_knows_its_place_in_the_log(self, make_attempt):
        attempt = make_attempt(7)
        assert isinstance(attempt.position, Position)
        assert attempt.position.offset == 7
        assert attempt.attempt == 1
        assert attempt.origins == ()

    def test_a_hop_has_the_verdict_and_the_number_of_the_try(self, make_attempt):
        hop = make_attempt(7).hop("accepted")
        assert (hop.verdict, hop.attempt) == ("accepted", 1)
        assert hop.stage
        assert hop.worker
        assert hop.took_ms >= 0

    def test_callbacks_run_in_order_once_the_outputs_are_published(self, make_attempt, acknowledge):
        attempt, calls = make_attempt(7), []
        attempt.after_publish(lambda: calls.append(1))
        attempt.after_publish(lambda: calls.append(2))
        assert calls == []
        acknowledge(attempt)
        assert calls == [1, 2]

    def test_commit_and_progress_may_be_reported_many_times(self, make_attempt):
        attempt = make_attempt(7)
        for _ in range(2):
            attempt.committed()
            attempt.beat()
