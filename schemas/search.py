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
