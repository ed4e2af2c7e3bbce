"""The document of one message in the search index."""

import msgspec


class IndexDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What search knows of a message. Flags and folders stay out: rows tell them."""

    message_id: str
    user_id: str
    domain_id: str
    received_at_ms: int
    size_bytes: int
    has_attachments: bool
    subject: str
    sender: str
    to: str
    cc: str
    body: str
    filenames: str
