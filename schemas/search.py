"""The document of one message in the search index."""

import msgspec

from schemas.ids import DomainId, MessageId, UserId


class IndexDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The searchable text of a message. Flags and folders are not indexed; they are in its row."""

    message_id: MessageId
    user_id: UserId
    domain_id: DomainId
    received_at_ms: int
    size_bytes: int
    has_attachments: bool
    subject: str
    sender: str
    to: str
    cc: str
    body: str
    filenames: str
    bcc: str = ""  # only the sender's own copy of a mail has this field (RFC 5322 §3.6.3)
    headers: tuple[tuple[str, str], ...] = ()  # name in lower case, decoded value; in order
    header_ids: dict[str, tuple[str, ...]] = {}  # by ID_FIELDS of mail/query/tree.py
    sent_day: int | None = None  # of the Date field in its zone, from 1970-01-01; None: no such day


class IndexedTo(msgspec.Struct, frozen=True):
    """The moment of a mailbox at which the index held all of its messages.

    The epoch is that of MailboxState: a restored mailbox has a new epoch, with lower seqs.
    """

    epoch: str = ""
    seq: int = 0
