"""Locator of accepted mails in mail store, quarantine and dead letters, for ledger and audit."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mail.ledger.states import MailEvidence, state_of
from mail.ports import MailStore, Quarantine
from schemas.ids import UserId
from schemas.ledger import (
    DISCARDED,
    EVERYONE,
    OPEN,
    QUARANTINED,
    RELEASED,
    DeadLetterState,
    LedgerEntry,
    QuarantineState,
    RecipientState,
)
from schemas.mailbox import Message
from schemas.quarantine import Quarantined

NO_USERS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailLocation:
    """One mail of the ledger, and what the stores and the log have of it."""

    entry: LedgerEntry
    messages: tuple[Message, ...]
    row: Quarantined | None
    dead_letters: tuple[DeadLetterState, ...]
    waiting: frozenset[str]  # users whose record is in the log; EVERYONE: all

    def states(self) -> dict[UserId, RecipientState]:
        """The mail's state by user id; OPEN if the mail was not found for the user."""
        evidence = MailEvidence(
            stored=frozenset(message.user_id for message in self.messages),
            dead_letters=self.dead_letters,
            quarantine=_quarantine_state(self.row),
            waiting=self.waiting | _pending(self.row),
        )
        return {user_id: state_of(user_id, evidence) for user_id in self.entry.states}

    @property
    def message_id_header(self) -> str:
        """The mail's Message-ID; "" if it is not known."""
        heads = [message.head for message in self.messages]
        heads += [self.row.head] if self.row else []
        return next((head.message_id for head in heads if head.message_id), "")

    def refs(self) -> Iterator[str]:
        """References of the contents that must exist: of messages, or of the quarantined mail."""
        yield from (message.content.ref for message in self.messages if not message.destroyed)
        if self.row is not None and self.row.deleted_at_ms is None and not self.messages:
            yield self.row.content.ref


def _pending(row: Quarantined | None) -> frozenset[str]:
    """The users whose mail waits in a released row that may not be published yet."""
    return frozenset({EVERYONE}) if row is not None and row.unpublished else NO_USERS


def _quarantine_state(row: Quarantined | None) -> QuarantineState:
    if row is None:
        return OPEN
    if row.deleted_at_ms is not None:
        return DISCARDED
    return QUARANTINED if row.released_at_ms is None else RELEASED


async def locate(
    entries: Sequence[LedgerEntry],
    store: MailStore,
    quarantine: Quarantine,
    *,
    dead_letters: Iterable[DeadLetterState] = (),
    waiting: Mapping[str, frozenset[str]] | None = None,
) -> list[MailLocation]:
    """The location of each entry. Quarantine is read only for mails that not all mailboxes have.

    `dead_letters`: those that are known. `waiting`: users with a record in the log, by mail id.
    """
    messages: defaultdict[str, list[Message]] = defaultdict(list)
    for message in await store.by_mails(entry.mail_id for entry in entries):
        messages[message.mail_id].append(message)
    incomplete = [e.mail_id for e in entries if len(messages[e.mail_id]) < len(e.states)]
    quarantined = await quarantine.get_many(incomplete) if incomplete else ()
    rows = {row.mail_id: row for row in quarantined}
    letters_of: defaultdict[str, list[DeadLetterState]] = defaultdict(list)
    for letter in dead_letters:
        letters_of[letter.mail_id].append(letter)
    return [
        MailLocation(
            entry=entry,
            messages=tuple(messages[entry.mail_id]),
            row=rows.get(entry.mail_id),
            dead_letters=tuple(letters_of[entry.mail_id]),
            waiting=(waiting or {}).get(entry.mail_id, NO_USERS),
        )
        for entry in entries
    ]
