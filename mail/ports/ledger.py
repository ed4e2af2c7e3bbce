"""The ledger of accepted mails, and the two views of the log that complete it."""

from collections.abc import Collection, Iterable
from typing import Protocol

from schemas.ids import MailId, MessageId, UserId
from schemas.ledger import (
    AcceptedMail,
    DeadLetterState,
    LedgerEntry,
    LedgerTotals,
    LogPlace,
    Observation,
)


class LedgerWriter(Protocol):
    """Accepted mails and dead letters, as the log reports them."""

    async def add(self, mails: Iterable[AcceptedMail]) -> int:
        """Add mails that are not in the ledger yet; return their number.

        A known mail that comes from another place of the log loses its place: it has several.
        """
        ...

    async def record_dead_letters(self, letters: Iterable[DeadLetterState]) -> None:
        """Record the state of dead letters, by id; no state goes back to `parked`.

        Reopens the mails of these dead letters, due at once.
        """
        ...

    async def mark_dead_letters_gone(self, *, epoch: str) -> int:
        """Set parked dead letters of other epochs to GONE; return their number.

        An id begins with EPOCH/.

        Reopens the mails of these dead letters, due at once.
        """
        ...

    async def reopen(self, mail_ids: Iterable[MailId], *, at_ms: int) -> None:
        """Open the mails again, due at `at_ms`; ids that are not in the ledger are ignored."""
        ...

    async def prune(self, *, before_ms: int, limit: int) -> int:
        """Drop at most `limit` closed mails accepted before; return their number.

        Open mails stay.
        """
        ...


class OpenMails(Protocol):
    """Mails of the ledger that are not in a terminal state for every recipient."""

    async def due(self, *, now_ms: int, limit: int, horizon_ms: int) -> list[LedgerEntry]:
        """Return open mails that are due for observation, the longest due first.

        Then mails that are due more than `horizon_ms` ahead: only a clock that was set back can
        have left them.
        """
        ...

    async def record(self, observations: Iterable[Observation]) -> set[MailId]:
        """Write down observations of mails that are open and were not reopened meanwhile.

        Returns the ids of these mails. Observations of other mails are ignored.
        """
        ...

    async def totals(self) -> LedgerTotals: ...


class LedgerReader(Protocol):
    """Queries on the ledger."""

    async def get(self, mail_id: MailId) -> LedgerEntry | None: ...

    async def accepted(
        self, *, since_ms: int, until_ms: int, limit: int, after: tuple[int, str] | None = None
    ) -> list[LedgerEntry]:
        """Return mails accepted in [since_ms, until_ms), oldest first.

        `after`: (accepted_at_ms, mail_id) of the previous page's last mail.
        """
        ...

    async def list_of_user(
        self, user_id: UserId, *, since_ms: int, until_ms: int, limit: int
    ) -> list[LedgerEntry]:
        """Return mails to one user accepted in [since_ms, until_ms), newest first."""
        ...

    async def list_by_header(self, message_id_header: str) -> list[LedgerEntry]:
        """Return mails with this Message-ID, newest first, at most 100; senders may repeat it."""
        ...

    async def by_message(self, message_id: MessageId) -> tuple[MailId, UserId] | None:
        """Return mail id and user id of a message in a mailbox."""
        ...

    async def dead_letters(self, mail_ids: Iterable[MailId]) -> list[DeadLetterState]:
        """Return the recorded dead letters of these mails."""
        ...

    async def places(self, mail_ids: Iterable[MailId]) -> dict[MailId, LogPlace]:
        """Return the place of each mail whose only record on mail.received is known."""
        ...

    async def newest_accepted_ms(self) -> int | None:
        """Return the acceptance time of the newest mail; None for an empty ledger."""
        ...


class Ledger(LedgerWriter, OpenMails, LedgerReader, Protocol):
    """All ports of the ledger, for the composition root and the role custody."""


class InFlightMails(Protocol):
    """Mails whose events are in the log, seen from outside the stages."""

    async def waiting(self, mail_ids: Collection[MailId]) -> dict[str, frozenset[str]]:
        """Return those mails with a record that its reader has not finished, and their user ids.

        EVERYONE stands for all recipients. A mail that moves on during the call is in the result,
        or is in the stores when the call returns. A record is read once: after Transient, or for
        other mails, a call continues where the last call ended.
        Raises Transient: the log could not be searched to its end.
        """
        ...


class DeadLetters(Protocol):
    """Parked events, read from the log itself."""

    async def since(self, at_ms: int) -> list[DeadLetterState]:
        """Return each dead letter written since then, in its present state.

        Raises BrokerUnavailable.
        """
        ...
