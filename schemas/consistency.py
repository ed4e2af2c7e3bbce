"""Results of a consistency check of one mailbox, and the progress of a rebuild."""

import msgspec

from schemas.content import Stored
from schemas.ids import CommandId, FolderId, MailId, MessageId
from schemas.mailbox import FolderCounts, MailboxState, Usage
from schemas.user_settings import StoredSettings

JOURNAL, COUNTS, LISTS, THREADS = "journal", "counts", "lists", "threads"  # parts of a mail store
SETTINGS, CORRESPONDENTS = "settings", "correspondents"  # likewise; rebuilt with the lists
CONTENT, OUTLINES = "content", "outlines"  # parts in other stores
INDEX, HOLDERS = "index", "holders"
REPORT_MAX = 1_000  # differences, and messages without a row, that the report of a mailbox names


class ViewDifference(msgspec.Struct, frozen=True, order=True):
    """A difference between a view and the journal.

    `part` is a constant above; `what` is a sentence for an operator, without mail content.
    """

    part: str
    what: str


class ExpectedMessage(msgspec.Struct, frozen=True):
    """A message of the journal, and what it needs in other stores."""

    message_id: MessageId
    mail_id: MailId
    content: Stored
    destroyed: bool


class ConsistencyReport(msgspec.Struct, frozen=True, kw_only=True):
    """A consistency check of one mailbox. It names at most REPORT_MAX of each."""

    differences: tuple[ViewDifference, ...] = ()
    more: int = 0  # differences that are not named
    without_row: tuple[ExpectedMessage, ...] = ()  # messages of the journal that have no row

    @property
    def number(self) -> int:
        return len(self.differences) + self.more


class Rebuild(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a rebuild in steps; its result when `is_finished`."""

    rebuild_id: CommandId  # the command_id of its first step
    parts: tuple[str, ...]
    step: int = 0  # the next step
    phase: str = ""  # the phase of the next step; "" at the beginning
    after: tuple[str | int, ...] = ()  # the last row that the phase has read; bytes as hex
    state: MailboxState = MailboxState()  # according to the journal up to state.seq
    settings: StoredSettings = StoredSettings()  # at state.seq
    counts: dict[FolderId, FolderCounts] = {}  # of the records at state.seq
    usage: Usage = Usage()
    lacking: tuple[
        ExpectedMessage, ...
    ] = ()  # messages without a row: the next step needs their header summaries
    mended: int = 0  # differences repaired so far
    is_finished: bool = False
