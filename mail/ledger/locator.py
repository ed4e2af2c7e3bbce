"""Where accepted mails are seen: the same look for the ledger's marks and for an audit."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mail.ledger.states import MailEvidence, state_of
from mail.ports import MailStore, Quarantine
from schemas.ledger import (
    DISCARDED,
    EVERYONE,
    OPEN,
    QUARANTINED,
    RELEASED,
    DeadLetterState,
    LedgerEntry,
)
from schemas.mailbox import Message
from schemas.quarantine import Quarantined

NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailLocation:
    """One mail, and all that was seen of it."""

    entry: LedgerEntry
    messages: tuple[Message, ...]
    row: Quarantined | None
    letters: tuple[DeadLetterState, ...]
    waiting: frozenset[str]

    def states(self) -> dict[str, str]:
        """By owner; OPEN where the mail was not seen."""
        seen = MailEvidence(
            stored=frozenset(message.user_id for message in self.messages),
            letters=self.letters,
            quarantine=_end_of(self.row),
            waiting=self.waiting | _pending(self.row),
        )
        return {user_id: state_of(user_id, seen) for user_id in self.entry.states}

    @property
    def message_id_header(self) -> str:
        heads = [message.head for message in self.messages]
        heads += [self.row.head] if self.row else []
        return next((head.message_id for head in heads if head.message_id), "")

    def refs(self) -> Iterator[str]:
        """Contents that must be there: of what can be read still, or is kept for a person."""
        yield from (message.content.ref for message in self.messages if not message.destroyed)
        if self.row is not None and self.row.deleted_at_ms is None and not self.messages:
            yield self.row.content.ref


def _pending(row: Quarantined | None) -> frozenset[str]:
    """A release that may not be in the log yet waits in its row."""
    return frozenset({EVERYONE}) if row is not None and row.unpublished else NOBODY


def _end_of(row: Quarantined | None) -> str:
    if row is None:
        return OPEN
    if row.deleted_at_ms is not None:
        return DISCARDED
    return QUARANTINED if row.released_at_ms is None else RELEASED


async def look(
    entries: Sequence[LedgerEntry],
    store: MailStore,
    quarantine: Quarantine,
    *,
    letters: Iterable[DeadLetterState] = (),
    waiting: Mapping[str, frozenset[str]] | None = None,
) -> list[MailLocation]:
    """One for each entry. Quarantine is asked only about what the mailboxes do not have."""
    messages: defaultdict[str, list[Message]] = defaultdict(list)
    for message in await store.by_mails(entry.mail_id for entry in entries):
        messages[message.mail_id].append(message)
    short = [e.mail_id for e in entries if len(messages[e.mail_id]) < len(e.states)]
    rows = {row.mail_id: row for row in await quarantine.get_many(short)} if short else {}
    told: defaultdict[str, list[DeadLetterState]] = defaultdict(list)
    for letter in letters:
        told[letter.mail_id].append(letter)
    return [
        MailLocation(
            entry=entry,
            messages=tuple(messages[entry.mail_id]),
            row=rows.get(entry.mail_id),
            letters=tuple(told[entry.mail_id]),
            waiting=(waiting or {}).get(entry.mail_id, NOBODY),
        )
        for entry in entries
    ]
