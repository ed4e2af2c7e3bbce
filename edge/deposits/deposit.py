"""A deposit, its outcome and its errors, as callers of the depositor see them."""

from dataclasses import dataclass, field

from mail.errors import Refused, Transient
from mail.mailbox.message_rules import NO_FOLDER
from schemas.ids import DraftId, FolderId, MailId, MessageId
from schemas.mailbox import NO_DRAFT


class TooLarge(Refused):
    """The mail is larger than this server accepts; `max_bytes` is the limit."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"A message has at most {max_bytes} octets.")
        self.max_bytes = max_bytes


class NoSuchFolder(Refused):
    """A folder of the deposit does not exist (IMAP: TRYCREATE)."""

    def __init__(self) -> None:
        super().__init__(NO_FOLDER)


class DepositsBusy(Transient):
    """All places to wait for a deposit are taken."""

    def __init__(self) -> None:
        super().__init__("deposits", "too many wait")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """The message that a deposit replaces: it must not have changed after `unchanged_since_seq`."""

    message_id: MessageId
    unchanged_since_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A mail, and how its message is to be."""

    octets: bytes  # any line ends
    folder_ids: tuple[FolderId, ...]  # at least one
    keywords: tuple[str, ...] = ()
    received_at_ms: int | None = None  # None: now
    draft_id: DraftId = NO_DRAFT  # replaced by that of the message that is replaced, if it has one
    replaces: Replaced | None = None
    client_id: str = ""  # a repeat with the same id is the same deposit; "": no repeat is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposited:
    """The message of a deposit.

    `changed_seq` None: the command is durable and not applied yet; the message will appear.
    """

    mail_id: MailId
    message_id: MessageId
    draft_id: DraftId
    changed_seq: int | None = None
    places: dict[FolderId, int] = field(default_factory=dict)  # folder id -> uid
