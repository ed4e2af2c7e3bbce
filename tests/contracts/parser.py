"""What every Parser does. Inherit, give a `parser` fixture: the adapter is held to it."""

import base64
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.errors import NotFound
from mail.mime.message_parser import (
    all_attachments,
    attachment,
    read_head,
    read_outlined_head,
    read_words,
)
from mail.mime.outline.builder import outline_of
from mail.mime.parse_requests import read_editable, read_shown, read_viewed
from mail.ports import Parser
from tests.mail.mime.write_corpus import MAILS

TEXT_MAX_CHARS = 10


def with_attachment(size_bytes: int) -> tuple[bytes, bytes]:
    """A mail with an attachment of so many octets, and these octets."""
    octets = random.Random(size_bytes).randbytes(size_bytes)
    head = b'Subject: big\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nhi\r\n'
    part = b"--b\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + part + base64.encodebytes(octets) + b"\r\n--b--\r\n", octets


class ParserContract:
    async def test_every_mail_is_read_as_by_the_plain_functions(self, parser: Parser):
        for content in MAILS.values():
            await self._compare(parser, content)

    async def _compare(self, parser: Parser, content: bytes) -> None:
        shown = read_shown(content, text_max_chars=TEXT_MAX_CHARS)
        assert await parser.head(content) == read_head(content)
        assert await parser.outlined_head(content) == read_outlined_head(content)
        assert await parser.outline(content) == outline_of(content)
        assert await parser.words(content) == read_words(content)
        assert await parser.shown(content, text_max_chars=TEXT_MAX_CHARS) == shown
        viewed = read_viewed(content, text_max_chars=TEXT_MAX_CHARS)
        assert await parser.viewed(content, text_max_chars=TEXT_MAX_CHARS) == viewed
        pictured = read_viewed(content, text_max_chars=TEXT_MAX_CHARS, remote_images=True)
        assert pictured == await parser.viewed(
            content, text_max_chars=TEXT_MAX_CHARS, remote_images=True
        )
        assert await parser.editable(content) == read_editable(content)
        for n in range(1, len(shown.attachments) + 1):
            assert await parser.attachment(content, n) == attachment(content, n)
        attachments, files = await parser.files(content)
        assert (tuple(attachments), list(files)) == all_attachments(content)
        assert tuple(attachments) == shown.attachments
        with pytest.raises(NotFound):
            await parser.attachment(content, len(shown.attachments) + 1)

    @settings(
        deadline=None,
        max_examples=30,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(st.binary(max_size=300))
    async def test_any_octets_are_read(self, parser: Parser, content: bytes):
        assert await parser.head(content) == read_head(content)

    async def test_an_attachment_comes_back_octet_for_octet(self, parser: Parser):
        content, octets = with_attachment(5_000_000)
        part, found = await parser.attachment(content, 1)
        assert (found, part.size_bytes) == (octets, 5_000_000)

    async def test_html_is_safe_and_text_is_cut(self, parser: Parser):
        content = b"Content-Type: text/html\r\n\r\n<script>x()</script><p onclick=x()>" + b"a" * 99
        shown = await parser.shown(content, text_max_chars=60)
        assert shown.html is not None
        assert "x()" not in shown.html
        assert len(shown.text) <= 61
