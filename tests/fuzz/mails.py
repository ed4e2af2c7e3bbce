"""Fuzz targets for mail parsers: clean text within the limits, by work linear in the size."""

import msgspec

from mail.errors import NotFound
from mail.html.sanitizer import sanitise, to_text
from mail.mime.header_fields import read_header
from mail.mime.message_parser import attachment, read_head, read_mail
from mail.mime.outline.builder import outline_of
from mail.mime.part_tree import walk_tree
from mail.mime.parts import PARTS_MAX, MimePart
from tests.fuzz.target import Target, encoded, work_of
from tests.mail.html.test_html import inspect
from tests.mail.mime.outline.test_offsets import check_limits
from tests.mail.mime.test_message_parser import UNCLEAN, text_values

CALLS_MIN = 5_000
CALLS_PER_BYTE = 60
HEAD_MAX_BYTES = 512 * 1024
HTML_GROWS_TO_BYTES = 300 * 1024 * 1024

WORDS = (
    *encoded(
        "\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", ";", "--x", "--x--", "\r\n--x\r\n",
        "\r\n--x--\r\n", '"', "<", ">", "(", ")", "\\", ",", "=", "?", "*", "%", "'", "@", "a",
        "=?utf-8?B?", "?=", "=?euc-kr?Q?=C7?=", "=?x?q?", "Subject: ", "From: ", "To: a@b, ",
        "Content-Type: multipart/mixed; boundary=x\r\n", "Content-Type: text/plain; charset=",
        "Content-Type: multipart/digest; boundary=x\r\n", "Content-Type: message/rfc822\r\n",
        "Content-Type: text/html\r\n\r\n", "Content-Transfer-Encoding: base64\r\n", "utf-7",
        "Content-Transfer-Encoding: quoted-printable\r\n", "iso-2022-jp", "utf-16", "hz", "+2AA-",
        "Content-Disposition: attachment; filename*0*=''%ff;", "filename*1=b;", "name=", "=3D=",
        "Date: Mon, 9 Jan 2024 09:00:00 +0900", "References: <a@b>", "Message-ID: <c@d>", "QUJD",
        "Content-ID: <a>", "\x00", "김", "&#0;", "&lt", "<!--", "-->", "<script>", "<p>", "<b>",
    ),
    b"\xff\xfe", b"\x1b$B", b"\x1b(J", "김".encode("euc-kr"),
)  # fmt: skip
MULTIPART = b"Subject: s\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
BEGINS = (
    b"", MULTIPART, b"Content-Type: text/html\r\n\r\n", b"To: ", b"Content-Type: text/plain; ",
    b"Subject: ", b"Date: ", b"Content-Disposition: attachment; ",
)  # fmt: skip


def mail(data: bytes) -> None:
    message, calls = work_of(lambda: read_mail(data))
    assert calls <= CALLS_MIN + CALLS_PER_BYTE * len(data)
    assert [text for text in text_values(data) if UNCLEAN.search(text)] == []
    assert read_head(data) == message.head
    assert len(msgspec.msgpack.encode(message.head)) <= HEAD_MAX_BYTES
    assert msgspec.json.decode(msgspec.json.encode(message), type=type(message)) == message
    for file in message.attachments:
        assert attachment(data, file.n)[0] == file
    _has_no_attachment(data, len(message.attachments) + 1)


def _has_no_attachment(data: bytes, n: int) -> None:
    try:
        attachment(data, n)
    except NotFound:
        return
    raise AssertionError


def walk(data: bytes) -> None:
    """The walk never fails, keeps its limits, and returns no more octets than the mail has."""
    leaves = _leaves(walk_tree(data).root)
    assert len(leaves) <= PARTS_MAX + 1
    assert sum(len(leaf.decode()) for leaf in leaves) <= len(data)
    assert 0 <= read_header(data).body_start <= len(data)


def outline(data: bytes) -> None:
    """An outline keeps its limits, and its offsets are in the mail."""
    found, calls = work_of(lambda: outline_of(data))
    assert calls <= CALLS_MIN + CALLS_PER_BYTE * len(data)
    check_limits(data, found)


def _leaves(root: MimePart) -> list[MimePart]:
    leaves, stack = [], [root]
    while stack:
        part = stack.pop()
        stack += part.children
        leaves += [] if part.children else [part]
    return leaves


def html(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    safe = sanitise(text)
    inspect(safe)
    assert not UNCLEAN.search(safe)
    assert len(safe) <= HTML_GROWS_TO_BYTES
    shown, calls = work_of(lambda: to_text(text, limit=1_000))
    assert len(shown) <= 1_000
    assert not UNCLEAN.search(shown)
    assert calls <= CALLS_MIN + CALLS_PER_BYTE * len(data)


HTML_WORDS = encoded(
    "<", ">", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<p>", "</p>", "<b>", "</b>",
    "<i a=1>",
    "<font size=1>", "</font>", "<a href=", "http://a.test", "javascript:", "</a>", "<table>",
    "<tr>", "<td>", "</td>", "</table>", "<script>", "</script>", "<style>", "</style>", "<svg>",
    "<math>", "<mtext>", "<title>", "<textarea>", "<template>", "<select>", "<option>", "<img src=",
    "<plaintext>", "<noscript>", "&", "&#", "&#x1;", "&#xfffe;", "&lt;", "&NotEqualTilde;", '"',
    "'",
    "=", " ", "style=", "url(", "color:red;", "title='", "x", "\x00", "\x85", "é", "\u202e",
)  # fmt: skip

TARGETS = (
    Target("mail", mail, WORDS, BEGINS),
    Target("walk", walk, WORDS, BEGINS),
    Target("outline", outline, WORDS, BEGINS),
    Target("html", html, HTML_WORDS),
)
