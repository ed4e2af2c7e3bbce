"""What a look at a mailbox finds: where its views differ from what the journal says."""

import msgspec

from schemas.content import Stored
from schemas.mailbox import FolderCounts, MailboxState, Usage

JOURNAL, COUNTS, LISTS, THREADS = "journal", "counts", "lists", "threads"  # parts of a mail store
CONTENT, INDEX, HOLDERS = "content", "index", "holders"  # parts beside it


class ViewDifference(msgspec.Struct, frozen=True, order=True):
    """`part` is one of those above; `what` is a sentence for an operator, without content."""

    part: str
    what: str


class ExpectedMessage(msgspec.Struct, frozen=True):
    """A message that the journal knows, and what it needs of other stores."""

    message_id: str
    mail_id: str
    content: Stored
    destroyed: bool


class ConsistencyReport(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox as it was at one moment."""

    differences: tuple[ViewDifference, ...] = ()
    messages: tuple[ExpectedMessage, ...] = ()
    without_row: tuple[
        ExpectedMessage, ...
    ] = ()  # of `messages`: their heads must come from their contents


class Rebuild(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a rebuild that goes in steps, and its result when `is_finished`."""

    rebuild_id: str  # the command_id of its first step
    parts: tuple[str, ...]
    step: int = 0  # the next one
    phase: str = ""  # what the next step goes on with; "" at the beginning
    after: tuple[str | int, ...] = ()  # the last line that the phase has looked at; bytes in hex
    state: MailboxState = MailboxState()  # told by the journal's entries up to state.seq
    counts: dict[str, FolderCounts] = {}  # of the records at that seq
    usage: Usage = Usage()
    lacking: tuple[
        ExpectedMessage, ...
    ] = ()  # messages without a row, whose heads the next step needs
    mended: int = 0
    is_finished: bool = False
