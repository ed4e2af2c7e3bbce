"""What becomes of a mail by its verdict; operators set the thresholds."""

from dataclasses import dataclass

from schemas.mail import Verdict

INBOX = "inbox"
JUNK = "junk"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamPolicy:
    """Scores in SpamAssassin's points. ValueError: the thresholds are the wrong way round."""

    junk_score: float = 5.0  # from here on into the Junk folder
    quarantine_score: float = 15.0  # from here on not delivered at all
    deliver_encrypted: bool = True  # what no scanner can look into is marked, and delivered

    def __post_init__(self) -> None:
        if not self.junk_score <= self.quarantine_score:
            msg = f"junk score {self.junk_score} is over quarantine score {self.quarantine_score}"
            raise ValueError(msg)

    def outcome(self, spam_score: float) -> str:
        """The outcome of a mail without a virus: clean or spam."""
        return "spam" if spam_score >= self.junk_score else "clean"

    def quarantines(self, verdict: Verdict) -> bool:
        """Whether the mail ends in quarantine instead of a mailbox."""
        if verdict.outcome == "spam":
            return verdict.spam_score >= self.quarantine_score
        return verdict.outcome != "clean"


def folder_for(verdict: Verdict) -> str:
    """The folder of a mail that may be delivered."""
    return JUNK if verdict.outcome == "spam" else INBOX
