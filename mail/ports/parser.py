"""Reading of untrusted octets, within limits of time and memory."""

from collections.abc import Sequence
from typing import Protocol

from mail.mime.message_parser import Attachment, ParsedMessage, SearchableText
from schemas.mail import HeaderSummary


class Parser(Protocol):
    """Parses one mail at a time for its caller; holds the event loop for a millisecond at most.

    Any octets are read. A mail that is beyond the limits is `parse_failed` and shown raw; if even
    that is beyond them, the result is empty. ParserUnavailable: nothing can be parsed now, and no
    mail is to blame.
    """

    async def head(self, content: bytes, *, apart: bool = False) -> HeaderSummary:
        """As message_parser.read_head; `apart`: by another process even if it is small."""
        ...

    async def shown(self, content: bytes, *, text_max_chars: int) -> ParsedMessage:
        """As parse_requests.read_shown: safe HTML, at most `text_max_chars` + 1 of each text."""
        ...

    async def words(self, content: bytes) -> SearchableText:
        """As message_parser.read_words."""
        ...

    async def attachment(self, content: bytes, n: int) -> tuple[Attachment, bytes]:
        """As message_parser.attachment. NotFound: there are fewer, or the mail is shown raw."""
        ...

    async def forms(self, content: bytes) -> Sequence[bytes] | None:
        """As parse_requests.read_forms. None: the mail is beyond the limits here."""
        ...
