"""What a look at a mailbox finds: where its views differ from what the journal says."""

import msgspec

from schemas.content import Stored
from schemas.mailbox import MailboxState

JOURNAL, COUNTS, LISTS, THREADS = "journal", "counts", "lists", "threads"  # parts of a mail store
CONTENT, INDEX, HOLDERS = "content", "index", "holders"  # parts beside it


class Difference(msgspec.Struct, frozen=True, order=True):
    """`part` is one of those above; `what` is a sentence for an operator, without content."""

    part: str
    what: str


class Kept(msgspec.Struct, frozen=True):
    """A message that the journal knows, and what it needs of other stores."""

    message_id: str
    mail_id: str
    content: Stored
    destroyed: bool


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox as it was at one moment."""

    differences: tuple[Difference, ...] = ()
    messages: tuple[Kept, ...] = ()
    without_row: tuple[Kept, ...] = ()  # of `messages`: their heads must come from their contents


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What was mended, and the state that holds now."""

    state: MailboxState
    mended: tuple[Difference, ...] = ()
