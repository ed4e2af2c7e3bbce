"""The holder row: who needs the content of a mail."""

import msgspec


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who needs a content: a user's message, quarantine, a dead letter."""

    mail_id: str
    holder: str  # user:ID, or one of those below
    ref: str


QUARANTINE_HOLDER = "quarantine"


DEAD_LETTERS_HOLDER = "dead_letters"
