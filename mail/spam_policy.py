"""Spam policy: what happens to a mail by its verdict; operators set the thresholds."""

import math
from dataclasses import dataclass, replace

from schemas.ids import FolderId
from schemas.mail import (
    Verdict,
    VerdictOutcome,
)
from schemas.mailbox import INBOX, JUNK


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamPolicy:
    """Thresholds, in SpamAssassin's points.

    Raises ValueError: the junk threshold is above the quarantine threshold.
    """

    junk_score: float = 5.0  # from this score on: to the Junk folder
    quarantine_score: float = 15.0  # from this score on: to quarantine
    deliver_encrypted: bool = True  # mail that no scanner can read is marked and delivered

    def __post_init__(self) -> None:
        if not self.junk_score <= self.quarantine_score:
            msg = f"junk score {self.junk_score} is over quarantine score {self.quarantine_score}"
            raise ValueError(msg)

    def outcome(self, spam_score: float) -> VerdictOutcome:
        """The outcome of a mail without a virus: clean or spam."""
        return "spam" if spam_score >= self.junk_score else "clean"

    def quarantines(self, verdict: Verdict) -> bool:
        """Whether the mail ends in quarantine instead of a mailbox."""
        if verdict.outcome == "spam":
            return verdict.spam_score >= self.quarantine_score
        return verdict.outcome != "clean"


def outgoing_policy(score: float = 8.0, *, deliver_encrypted: bool = True) -> SpamPolicy:
    """The policy for mail that users send: from `score` on it is not sent, below it is clean."""
    return SpamPolicy(junk_score=score, quarantine_score=score, deliver_encrypted=deliver_encrypted)


def draft_policy(policy: SpamPolicy) -> SpamPolicy:
    """The policy for a mail that returns to its sender's Drafts: no spam threshold."""
    return replace(policy, junk_score=math.inf, quarantine_score=math.inf)


def folder_for(verdict: Verdict) -> FolderId:
    """The folder id for a mail that is delivered."""
    return JUNK if verdict.outcome == "spam" else INBOX
