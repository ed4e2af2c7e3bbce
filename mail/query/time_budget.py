"""Time budget of a search: the index stops working for a search after SEARCH_MAX_S seconds.

The limit keeps one user's expensive search from delaying the searches of other users.
"""

from dataclasses import dataclass

from mail.errors import PostriverError

SEARCH_MAX_S = 2.0


class SearchTimedOut(PostriverError):
    """The time budget of a search ended before the last index call had a result."""

    def __init__(self) -> None:
        super().__init__(
            "This search takes too long in this mailbox. Use longer or rarer words, "
            "fewer of them, or dates such as after:2026-01-01."
        )


@dataclass(slots=True)
class TimeBudget:
    """Seconds of elapsed time left for the index calls of one search.

    The time that a search waits for its turn is not counted.
    """

    left_s: float = SEARCH_MAX_S
    spent_s: float = 0.0

    def spend(self, seconds: float) -> None:
        self.left_s -= seconds
        self.spent_s += seconds

    def check(self) -> None:
        """Raises SearchTimedOut: no time is left."""
        if self.left_s <= 0:
            raise SearchTimedOut
