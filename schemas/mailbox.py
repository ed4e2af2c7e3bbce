"""A user's mailbox as it is stored: state, folders, message rows, pages and filters of lists."""

from collections.abc import Collection

import msgspec

from schemas.content import Stored
from schemas.ids import DomainId, DraftId, FolderId, MailId, MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary, Hop, Verdict

INBOX, SENT, DRAFTS = FolderId("inbox"), FolderId("sent"), FolderId("drafts")
JUNK, TRASH, ARCHIVE = FolderId("junk"), FolderId("trash"), FolderId("archive")
FOLDERS = (INBOX, SENT, DRAFTS, JUNK, TRASH, ARCHIVE)  # standard folders (RFC 6154)
TOP = FolderId("")  # instead of a parent's id: the folder is in no other folder
NO_DRAFT = DraftId("")  # of a message that is not a version of a draft
NO_THREAD = ThreadId("")  # instead of a thread's id, in entries of the first version
SEEN = "$seen"
FLAGGED = "$flagged"
DRAFT = "$draft"
ANSWERED = "$answered"
FORWARDED = "$forwarded"


def is_unread(keywords: Collection[str]) -> bool:
    """Whether a message with these keywords is unread: $seen is absent (RFC 8621 §4.1.1)."""
    return SEEN not in keywords


def is_flagged(keywords: Collection[str]) -> bool:
    """Whether a message with these keywords is flagged (RFC 8621 §4.1.1)."""
    return FLAGGED in keywords


def shown(places: dict[FolderId, int], deleted_in: Collection[FolderId]) -> dict[FolderId, int]:
    """The places where a message is not marked as deleted."""
    if not deleted_in:
        return places
    return {id_: uid for id_, uid in places.items() if id_ not in deleted_in}


class FolderCounts(msgspec.Struct, frozen=True):
    """Counts of one folder, and the values by which its clients recognise changes.

    A message that is marked as deleted in the folder counts as `deleted`, and neither in `total`
    nor in `unread`. `size_bytes` is of all messages in the folder.
    """

    id: FolderId
    total: int = 0
    unread: int = 0
    next_uid: int = 1  # uid of its next message (RFC 9051 §2.3.1.1)
    uidvalidity: int = msgspec.field(default=0, name="validity")  # 0: never created or renamed
    modseq: int = 0  # seq of its last change (RFC 7162 §3.1.2.1); 0: before this was recorded
    size_bytes: int = 0
    deleted: int = 0


class OwnFolder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Name and place of a folder that the owner created.

    A folder that is `deleting` no longer exists for its owner; its record stays until the last
    message has left the folder.
    """

    name: str
    parent_id: FolderId = TOP
    deleting: bool = False


class FolderSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the owner may set for any folder, also for a standard folder."""

    subscribed: bool = True  # RFC 9051 §6.3.7, RFC 8621 §2
    sort_order: int = 0  # RFC 8621 §2: folders with a lower number come first


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as its owner sees it."""

    counts: FolderCounts
    name: str
    settings: FolderSettings = FolderSettings()
    parent_id: FolderId = TOP
    role: str = ""  # special use of a standard folder (RFC 6154)


class Usage(msgspec.Struct, frozen=True):
    """Number of messages that are not destroyed, and total size of their contents."""

    size_bytes: int = 0
    messages: int = 0


class TypeSeqs(msgspec.Struct, frozen=True, array_like=True):
    """The seq of the last change of each JMAP type (RFC 8620 §1.6.2); 0: not recorded yet."""

    messages: int = 0  # Email
    folders: int = 0  # Mailbox
    threads: int = 0  # Thread
    deliveries: int = 0  # EmailDelivery (RFC 8621 §1.5)
    settings: int = 0  # Identity, VacationResponse; 0: never changed
    submissions: int = 0  # EmailSubmission (RFC 8621 §7); 0: never changed


class MailboxState(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a mailbox for its single writer: value of the Faust table, row of the store."""

    seq: int = 0
    epoch: str = ""  # position of the last command applied; "" before the first
    partition: int = -1
    offset: int = -1
    folders: dict[FolderId, FolderCounts] = {}
    own: dict[FolderId, OwnFolder] = {}  # by folder id
    usage: Usage = Usage()
    settings: dict[FolderId, FolderSettings] = {}  # of folders with other than default settings
    subscribed_names: tuple[str, ...] = ()  # sorted full names that no folder has (RFC 9051 §6.3.7)
    last_uidvalidity: int = 0  # the highest that was given to a folder
    type_seqs: TypeSeqs = TypeSeqs()


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a mailbox: the row from which lists, the reader and search results are made."""

    message_id: MessageId
    user_id: UserId
    domain_id: DomainId
    mail_id: MailId
    places: dict[FolderId, int]  # folder id -> uid
    keywords: tuple[str, ...]
    created_seq: int
    changed_seq: int
    received_at_ms: int
    content: Stored
    head: HeaderSummary
    verdict: Verdict
    hops: tuple[Hop, ...]
    thread_id: ThreadId = NO_THREAD  # never changes (RFC 8621 §3)
    destroyed: bool = False  # the row is a tombstone: a `deliver` of its id changes nothing
    deleted_in: tuple[FolderId, ...] = ()  # sorted: folders where it is marked as deleted
    draft_id: DraftId = NO_DRAFT  # the same for all messages that are versions of one draft

    @property
    def shown_places(self) -> dict[FolderId, int]:
        """The places where the message is not marked as deleted; only these are shown and counted.

        A message without such a place is hidden from lists (RFC 8621 §4.1.1).
        """
        return shown(self.places, self.deleted_in)


class Page(msgspec.Struct, frozen=True):
    """A page of a list, newest first; `next_cursor` is None on the last page.

    With a filter that matches few messages a page may be short or empty and still have a next page.
    """

    messages: tuple[Message, ...]
    next_cursor: str | None
    previous_cursor: str | None = None  # of the page before, with newer messages
    seq: int = 0  # of the mailbox, at or before the moment of the page
    position: int | None = None  # of the first message; with `total` if asked for by position
    total: int | None = None  # messages of the list that meet the filter


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on the messages of a list; None sets no condition."""

    unread: bool | None = None
    flagged: bool | None = None
    has_attachments: bool | None = None
    sender: str | None = None  # addr-spec of the first author, in upper or lower case
    after_ms: int | None = None  # received at this Unix time or later
    before_ms: int | None = None  # received before this Unix time
    keyword: str | None = None  # in lower case
