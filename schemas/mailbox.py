"""A user's mailbox as it is stored: state, folders, message rows."""

import msgspec

from schemas.content import Stored
from schemas.mail import Head, Hop, Verdict

FOLDERS = ("inbox", "sent", "drafts", "junk", "trash", "archive")  # ids and roles (RFC 6154)
SEEN = "$seen"
FLAGGED = "$flagged"


class FolderCounts(msgspec.Struct, frozen=True):
    """Counts of one folder, and the next uid that it will give (RFC 9051 §2.3.1.1)."""

    id: str
    total: int = 0
    unread: int = 0
    next_uid: int = 1
    uidvalidity: int = 1


class MailboxState(msgspec.Struct, frozen=True, kw_only=True):
    """What the single writer knows of a mailbox: the table's value and the store's state row."""

    seq: int = 0
    epoch: str = ""  # position of the last command applied; "" before the first
    partition: int = -1
    offset: int = -1
    folders: dict[str, FolderCounts] = {}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a mailbox: the row behind lists, reading, notices and hits."""

    message_id: str
    user_id: str
    domain_id: str
    mail_id: str
    places: dict[str, int]  # folder id -> uid
    keywords: tuple[str, ...]
    created_seq: int
    changed_seq: int
    received_at_ms: int
    content: Stored
    head: Head
    verdict: Verdict
    hops: tuple[Hop, ...]
    destroyed: bool = False  # a tombstone: `deliver` of the same id changes nothing


class Page(msgspec.Struct, frozen=True):
    """A page of a list, newest first; `next_cursor` is None at the end."""

    messages: tuple[Message, ...]
    next_cursor: str | None
