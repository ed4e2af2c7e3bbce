"""Parser: parsing of untrusted mail within limits of time and memory."""

from collections.abc import Sequence
from typing import Protocol

from mail.html.view_document import ViewDocument
from mail.mime.message_parser import Attachment, OutlinedHead, ParsedMessage, SearchableText
from schemas.mail import HeaderSummary
from schemas.outline import MailOutline


class Parser(Protocol):
    """Parser of whole mails that blocks the event loop for a few milliseconds at most.

    Accepts any octets. A mail that exceeds the limits is `parse_failed` and returned as raw text;
    if that exceeds the limits too, the result is empty.
    Every method raises ParserUnavailable: nothing can be parsed now, and no mail is at fault.
    """

    async def head(self, content: bytes, *, isolated: bool = False) -> HeaderSummary:
        """As message_parser.read_head. `isolated`: in another process even if the mail is small."""
        ...

    async def outlined_head(self, content: bytes, *, isolated: bool = False) -> OutlinedHead:
        """As `head` and `outline`, for the cost of parsing the mail once."""
        ...

    async def outline(self, content: bytes) -> MailOutline:
        """As outline.builder.outline_of. Beyond the limits it has one part and is incomplete."""
        ...

    async def shown(self, content: bytes, *, text_max_chars: int) -> ParsedMessage:
        """As parse_requests.read_shown: safe HTML, at most `text_max_chars` + 1 of each text."""
        ...

    async def viewed(
        self, content: bytes, *, text_max_chars: int, remote_images: bool = False
    ) -> ViewDocument:
        """As parse_requests.read_viewed. Beyond the limits the document is empty."""
        ...

    async def editable(self, content: bytes) -> ParsedMessage:
        """As parse_requests.read_editable: a mail that its owner goes on writing."""
        ...

    async def words(self, content: bytes) -> SearchableText:
        """As message_parser.read_words."""
        ...

    async def attachment(self, content: bytes, n: int) -> tuple[Attachment, bytes]:
        """As message_parser.attachment.

        Raises NotFound: the mail has fewer attachments, or was parsed as raw text.
        """
        ...

    async def files(self, content: bytes) -> tuple[Sequence[Attachment], Sequence[bytes]]:
        """As message_parser.all_attachments. Beyond the limits there is no attachment."""
        ...

    async def forms(self, content: bytes) -> Sequence[bytes] | None:
        """As parse_requests.read_forms. None: the mail exceeds the limits of this parser."""
        ...
