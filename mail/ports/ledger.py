"""Whether every accepted mail has an end."""

from collections.abc import Collection, Iterable
from typing import Protocol

from schemas.ledger import AcceptedMail, DeadLetterState, LedgerEntry, LedgerTotals, Observation


class Ledger(Protocol):
    """Custody's own book, beside the river: what was accepted, and what has become of it."""

    async def enter(self, mails: Iterable[AcceptedMail]) -> int:
        """How many were new; one that is known stays as it is."""
        ...

    async def note(self, letters: Iterable[DeadLetterState]) -> None:
        """Keyed by letter id; a state follows `parked` and never goes back to it.

        The mails of these letters are open again, to be looked at now.
        """
        ...

    async def reopen(self, mail_ids: Iterable[str], *, at_ms: int) -> None:
        """Something was done about these mails: look at them from `at_ms` on."""
        ...

    async def lose_letters(self, *, epoch: str) -> int:
        """Parked letters whose id does not begin with `epoch`/ become GONE; how many.

        Their mails are open again, to be looked at now.
        """
        ...

    async def due(self, *, now_ms: int, limit: int, horizon_ms: int) -> list[LedgerEntry]:
        """Open mails whose time to be looked at has come, the longest due first.

        Then those whose time lies more than `horizon_ms` ahead, which no look has written down:
        a clock was set.
        """
        ...

    async def mark(self, looks: Iterable[Observation]) -> set[str]:
        """Write down what was found of mails that are open and were not reopened since the look.

        Their ids. A mail that is not in the ledger, or closed, is passed over.
        """
        ...

    async def get(self, mail_id: str) -> LedgerEntry | None: ...

    async def accepted(
        self, *, since_ms: int, until_ms: int, limit: int, after: tuple[int, str] | None = None
    ) -> list[LedgerEntry]:
        """Of [since, until), oldest first; `after` is (accepted_at_ms, mail_id) of the last one."""
        ...

    async def of_user(
        self, user_id: str, *, since_ms: int, until_ms: int, limit: int
    ) -> list[LedgerEntry]:
        """Mails to one owner in [since, until), newest first."""
        ...

    async def by_header(self, message_id_header: str) -> list[LedgerEntry]:
        """Mails with that Message-ID, newest first, at most 100; senders may repeat it."""
        ...

    async def by_message(self, message_id: str) -> tuple[str, str] | None:
        """Mail id and user id of a message in a mailbox."""
        ...

    async def letters(self, mail_ids: Iterable[str]) -> list[DeadLetterState]:
        """What is known of these mails' dead letters."""
        ...

    async def totals(self) -> LedgerTotals: ...

    async def newest_ms(self) -> int | None:
        """When the newest mail that is known was accepted."""
        ...

    async def forget(self, *, before_ms: int, limit: int) -> int:
        """Drop at most `limit` closed mails accepted before; how many. Open ones stay."""
        ...


class InFlightMails(Protocol):
    """The log, seen from outside."""

    async def waiting(self, mail_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """Those mails with a record that its reader has not finished, and for which owners.

        EVERYONE stands for all owners. A mail that moves on meanwhile is seen here, or is in the
        stores when this returns. Transient: the log could not be searched to its end. Asked next
        for the same mails, the search goes on where it ended, and may name mails that have moved
        on since they were seen.
        """
        ...


class DeadLetters(Protocol):
    """What was parked, as the log itself tells it."""

    async def since(self, at_ms: int) -> list[DeadLetterState]:
        """One for each letter written since then, in its present state. BrokerUnavailable."""
        ...
