"""The holder: a named reason to keep the content of a mail."""

import msgspec

from schemas.ids import MailId


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """One reason to keep a content: a user's message, quarantine, a dead letter."""

    mail_id: MailId
    holder: str  # user:ID, message:ID, upload:USER:ID, or a constant below
    ref: str


DEPOSIT_HOLDER = "deposit"  # until agents/background/deposit_holders.py has looked for the message
QUARANTINE_HOLDER = "quarantine"
DEAD_LETTERS_HOLDER = "dead_letters"
SUBMISSION_HOLDER = "submission"  # until the submission is final
