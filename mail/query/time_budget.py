"""How long an index works for one search, so that nobody's search holds up those of others."""

from dataclasses import dataclass

from mail.errors import PostriverError

SEARCH_MAX_S = 2.0


class SearchTimedOut(PostriverError):
    """The time of a search is over, and what was asked last has not been answered."""

    def __init__(self) -> None:
        super().__init__(
            "This search takes too long in this mailbox. Use longer or rarer words, "
            "fewer of them, or dates such as after:2026-01-01."
        )


@dataclass(slots=True)
class TimeBudget:
    """Seconds by the clock that are left; waiting for one's turn is not counted."""

    left_s: float = SEARCH_MAX_S
    spent_s: float = 0.0

    def spend(self, seconds: float) -> None:
        self.left_s -= seconds
        self.spent_s += seconds

    def check(self) -> None:
        """SearchTimedOut when nothing is left."""
        if self.left_s <= 0:
            raise SearchTimedOut
