"""What became of each message of an order to many."""

from collections.abc import Iterator

import msgspec

from schemas.events.mailbox_commands import DestroyMessages, MessageCommand, TrashMessages
from schemas.events.mailbox_events import (
    CONFLICT,
    NOT_FOUND,
    UNCHANGED,
    CommandAnswered,
    MailboxEvent,
)

ACCEPTED = "accepted"


class UpdateResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of it, in one word.

    `updated`, `trashed` or `destroyed`; `unchanged`: it was so already; `not_found`; `conflict`:
    changed meanwhile, and left as it is; `refused`: `detail` says why; `accepted`: durable, and not
    seen to be carried out in time.
    """

    id: str
    outcome: str
    detail: str = ""


class UpdateResults(msgspec.Struct, frozen=True, kw_only=True):
    """One for each id, in the order in which they were given."""

    outcomes: list[UpdateResult]


def outcomes_of(command: MessageCommand, event: MailboxEvent | None) -> Iterator[UpdateResult]:
    """In the order of the command."""
    told = _told(command, event)
    others, detail = CONFLICT if isinstance(command, DestroyMessages) else UNCHANGED, ""
    if event is None:
        others = ACCEPTED
    elif isinstance(event, CommandAnswered):
        others, detail = event.outcome, event.detail
    for id_ in command.message_ids:
        if id_ in told:
            yield UpdateResult(id=id_, outcome=told[id_])
        else:
            yield UpdateResult(id=id_, outcome=others, detail=detail)


def _told(command: MessageCommand, event: MailboxEvent | None) -> dict[str, str]:
    """Those that the event names."""
    if event is None:
        return {}
    updated = "trashed" if isinstance(command, TrashMessages) else "updated"
    words = {"updated": updated}
    changes = () if isinstance(event, CommandAnswered) else event.changes
    told = {one.message_id: words.get(one.change, one.change) for one in changes}
    return told | dict.fromkeys(event.not_found, NOT_FOUND)
