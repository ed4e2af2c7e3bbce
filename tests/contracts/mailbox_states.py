"""Contract of the MailboxStates port.

Fixtures: `states`; `reassign`, a function that assigns the partitions to this process again.
"""

from schemas.mailbox import MailboxState

FIRST, SECOND = MailboxState(seq=1), MailboxState(seq=2)


class MailboxStatesContract:
    def test_a_user_without_a_state_has_none(self, states):
        assert states.get("ann") is None

    def test_the_last_state_that_was_set_is_returned(self, states):
        states.set("ann", FIRST)
        states.set("ann", SECOND)
        states.set("bob", FIRST)
        assert (states.get("ann"), states.get("bob")) == (SECOND, FIRST)

    def test_a_doubted_state_is_not_returned_until_it_is_set_again(self, states):
        states.set("ann", FIRST)
        states.set("bob", FIRST)
        states.doubt("ann")
        states.doubt("nobody")
        assert (states.get("ann"), states.get("bob")) == (None, FIRST)
        states.set("ann", SECOND)
        assert states.get("ann") == SECOND

    def test_no_state_is_returned_after_a_new_assignment(self, states, reassign):
        states.set("ann", FIRST)
        reassign()
        assert states.get("ann") is None
