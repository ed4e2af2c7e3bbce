"""Parser in the calling process, without limits of time or memory, for tests and small tools."""

from collections.abc import Sequence

from mail.html.view_document import ViewDocument
from mail.mime.message_parser import (
    Attachment,
    OutlinedHead,
    ParsedMessage,
    SearchableText,
    all_attachments,
    attachment,
    read_head,
    read_outlined_head,
    read_words,
)
from mail.mime.outline.builder import outline_of
from mail.mime.parse_requests import (
    TEXT_MAX_CHARS,
    read_editable,
    read_forms,
    read_shown,
    read_viewed,
)
from mail.ports.parser import Parser
from schemas.mail import HeaderSummary
from schemas.outline import MailOutline


class InProcessParser(Parser):
    """Parses in the event loop of the caller, which a large mail blocks."""

    async def head(self, content: bytes, *, isolated: bool = False) -> HeaderSummary:
        del isolated
        return read_head(content)

    async def outlined_head(self, content: bytes, *, isolated: bool = False) -> OutlinedHead:
        del isolated
        return read_outlined_head(content)

    async def outline(self, content: bytes) -> MailOutline:
        return outline_of(content)

    async def shown(self, content: bytes, *, text_max_chars: int) -> ParsedMessage:
        return read_shown(content, text_max_chars=text_max_chars)

    async def viewed(
        self, content: bytes, *, text_max_chars: int, remote_images: bool = False
    ) -> ViewDocument:
        return read_viewed(content, text_max_chars=text_max_chars, remote_images=remote_images)

    async def editable(self, content: bytes) -> ParsedMessage:
        return read_editable(content)

    async def words(self, content: bytes) -> SearchableText:
        return read_words(content)

    async def attachment(self, content: bytes, n: int) -> tuple[Attachment, bytes]:
        return attachment(content, n)

    async def files(self, content: bytes) -> tuple[Sequence[Attachment], Sequence[bytes]]:
        return all_attachments(content)

    async def forms(self, content: bytes) -> Sequence[bytes] | None:
        return read_forms(content, text_max_chars=TEXT_MAX_CHARS)
