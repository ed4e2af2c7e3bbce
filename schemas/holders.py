"""The holder: a named reason to keep the content of a mail."""

import msgspec

from schemas.ids import MailId


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """One reason to keep a content: a user's message, quarantine, a dead letter.

    A holder is used once: after its release it never holds the content again. A reason that can
    come again has an id in its name, so that each occurrence is a holder of its own.
    """

    mail_id: MailId
    holder: str  # KIND or KIND:ID: user:ID, message:ID, upload:USER:ID, relay:DOMAIN, or see below
    ref: str


# A kind without ids: until agents/background/deposit_holders.py has looked for the message.
DEPOSIT_HOLDER = "deposit"
QUARANTINE_HOLDER = "quarantine"  # a kind without ids: a mail has one quarantine row at most
DEAD_LETTERS_HOLDER = "dead_letters"  # a kind; a name without id was written by earlier versions
SUBMISSION_HOLDER = "submission"  # a kind without ids: until the submission is final


def relay_holder(destination: str) -> str:
    """Return the holder of a mail until it has reached the domain, or failed there."""
    return f"relay:{destination}"


def dead_letter_holder(letter_id: str) -> str:
    """Return the holder of one dead letter; a mail may be parked again after a redrive."""
    return f"{DEAD_LETTERS_HOLDER}:{letter_id}"


def kind_of_holder(holder: str) -> str:
    """Return the part of a holder's name before its id."""
    return holder.partition(":")[0]
