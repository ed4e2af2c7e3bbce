"""A user's mailbox as it is stored: state, folders, message rows, and which part of a list."""

import msgspec

from schemas.content import Stored
from schemas.mail import HeaderSummary, Hop, Verdict

INBOX, JUNK, TRASH = "inbox", "junk", "trash"
FOLDERS = (INBOX, "sent", "drafts", JUNK, TRASH, "archive")  # ids and roles (RFC 6154)
SEEN = "$seen"
FLAGGED = "$flagged"


class FolderCounts(msgspec.Struct, frozen=True):
    """Counts of one folder, and the next uid that it will give (RFC 9051 §2.3.1.1)."""

    id: str
    total: int = 0
    unread: int = 0
    next_uid: int = 1


class OwnFolder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a folder of the owner's making has besides its counts.

    `deleting`: it is gone for its owner, and stays until the last message has left it.
    """

    name: str
    parent_id: str = ""  # "" at the top
    deleting: bool = False


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as its owner sees it."""

    counts: FolderCounts
    name: str
    parent_id: str = ""
    role: str = ""  # of the standard folders (RFC 6154)


class Usage(msgspec.Struct, frozen=True):
    """Messages that are not destroyed, and the size of their contents, each counted once."""

    size_bytes: int = 0
    messages: int = 0


class MailboxState(msgspec.Struct, frozen=True, kw_only=True):
    """What the single writer knows of a mailbox: the table's value and the store's state row."""

    seq: int = 0
    epoch: str = ""  # position of the last command applied; "" before the first
    partition: int = -1
    offset: int = -1
    folders: dict[str, FolderCounts] = {}
    own: dict[str, OwnFolder] = {}  # by folder id
    usage: Usage = Usage()


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
    head: HeaderSummary
    verdict: Verdict
    hops: tuple[Hop, ...]
    thread_id: str = ""  # given once, never changed (RFC 8621 §3)
    destroyed: bool = False  # a tombstone: `deliver` of the same id changes nothing


class Page(msgspec.Struct, frozen=True):
    """A page of a list, newest first; `next_cursor` is None at the end.

    Under a filter that finds little a page may be short, or empty, and go on all the same.
    """

    messages: tuple[Message, ...]
    next_cursor: str | None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages of a list; None asks for nothing. Times: Unix milliseconds of arrival."""

    unread: bool | None = None
    flagged: bool | None = None
    has_attachments: bool | None = None
    sender: str | None = None  # an addr-spec, in any letter case
    after_ms: int | None = None  # received then or later
    before_ms: int | None = None  # received earlier
