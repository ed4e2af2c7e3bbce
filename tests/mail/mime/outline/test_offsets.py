"""Offsets, sizes and line counts of outlines, against generated mails and the standard library."""

from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.mime.message_parser import read_head, read_outlined_head
from mail.mime.outline.builder import OUTLINE_MAX_BYTES, outline_of
from mail.mime.outline.sections import children_of
from mail.mime.parts import PARTS_MAX
from schemas.outline import MailOutline, OutlinePart
from tests.mail.mime.write_corpus import MAILS


@dataclass
class Node:
    """The octets of a generated part."""

    header: bytes
    body: bytes
    content_type: str
    children: list["Node"] = field(default_factory=list)

    @property
    def octets(self) -> bytes:
        return self.header + self.body


FIELDS = st.sampled_from(
    [b"", b"X-A: 1\r\n", b"X-A: 1\r\n 2\r\nContent-ID: <a>\r\n", b"X: \xff\r\n"]
)
DATA = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"a", b"\r\n", b"\r\n\r\n", b"\xe9", b" "]), max_size=12).map(
        b"".join
    ),
).map(lambda data: data.replace(b"--", b"-+"))


@st.composite
def leaves(draw: st.DrawFn, default: str = "text/plain") -> Node:
    kind = draw(st.sampled_from(["", "text/html", "image/png"]))
    encoding = draw(st.sampled_from([b"", b"Content-Transfer-Encoding: base64\r\n"]))
    header = draw(FIELDS) + encoding + (b"Content-Type: %b\r\n" % kind.encode() if kind else b"")
    return Node(header + b"\r\n", draw(DATA), kind or default)


@st.composite
def attached(draw: st.DrawFn, depth: int, *, typed: bool = True) -> Node:
    mail = draw(nodes(depth - 1))
    header = b"Content-Type: message/rfc822\r\n" if typed else b""
    return Node(draw(FIELDS) + header + b"\r\n", mail.octets, "message/rfc822", [mail])


@st.composite
def nodes(draw: st.DrawFn, depth: int = 3) -> Node:
    kind = draw(st.sampled_from(["leaf", "mixed", "digest", "attached"])) if depth else "leaf"
    if kind == "leaf":
        return draw(leaves())
    if kind == "attached":
        return draw(attached(depth))
    of_type = nodes(depth - 1) if kind == "mixed" else attached(depth - 1 or 1, typed=False)
    parts = draw(st.lists(of_type, min_size=1, max_size=3))
    boundary = draw(st.sampled_from(["x", "=_b", "a b"])) + str(depth)
    delimiter = b"\r\n--" + boundary.encode()
    header = b'Content-Type: multipart/%b; boundary="%b"\r\n' % (kind.encode(), boundary.encode())
    body = draw(st.sampled_from([b"", b"preamble"]))
    body += b"".join(delimiter + b"\r\n" + part.octets for part in parts) + delimiter
    body += draw(st.sampled_from([b"--", b"--\r\n", b"--\r\nepilogue\r\n"]))
    return Node(draw(FIELDS) + header + b"\r\n", body, f"multipart/{kind}", parts)


def header_of(content: bytes, part: OutlinePart) -> bytes:
    return content[part.header_start : part.body_start]


def body_of(content: bytes, part: OutlinePart) -> bytes:
    return content[part.body_start : part.body_start + part.size_bytes]


@given(nodes())
@settings(max_examples=200, deadline=None)
def test_the_spans_of_a_generated_mail_are_those_of_its_parts(mail: Node) -> None:
    content = mail.octets
    outline = outline_of(content)
    children = children_of(outline)
    assert outline.complete
    pairs = [(mail, 0)]
    while pairs:
        node, index = pairs.pop()
        part = outline.parts[index]
        assert part.content_type == node.content_type
        assert header_of(content, part) == node.header
        assert body_of(content, part) == node.body
        assert part.lines == node.body.count(b"\n")
        assert len(children[index]) == len(node.children)
        pairs += zip(node.children, children[index], strict=True)


def from_library(message: Message) -> list[Message]:
    return message.get_payload() if message.is_multipart() else []


def compare(content: bytes, message: Message) -> None:
    """Compare bodies of leaves, headers and structure with the standard library."""
    outline = outline_of(content)
    children = children_of(outline)
    pairs = [(message, 0)]
    while pairs:
        theirs, index = pairs.pop()
        ours = outline.parts[index]
        header = message_from_bytes(header_of(content, ours))
        assert header.items() == theirs.items()
        inner = from_library(theirs)
        assert len(children[index]) == len(inner)
        pairs += zip(inner, children[index], strict=True)
        if not inner:
            undecoded = vars(theirs)["_payload"]
            assert body_of(content, ours) == undecoded.encode("ascii", "surrogateescape")
            assert ours.content_type == theirs.get_content_type()


def is_comparable(message: Message) -> bool:
    """Whether the standard library reads the mail without a defect and in the same lines."""
    return not any(
        part.defects or "\x0b" in str(part.get_payload()) or "\x0c" in str(part.get_payload())
        for part in message.walk()
    )


@given(nodes())
@settings(max_examples=200, deadline=None)
def test_the_spans_are_those_of_the_standard_library(mail: Node) -> None:
    message = message_from_bytes(mail.octets)
    if is_comparable(message):
        compare(mail.octets, message)


@pytest.mark.parametrize("name", sorted(MAILS))
def test_the_spans_of_the_corpus_are_those_of_the_standard_library(name: str) -> None:
    message = message_from_bytes(MAILS[name])
    if is_comparable(message):
        compare(MAILS[name], message)


@pytest.mark.parametrize("name", sorted(MAILS))
def test_an_outline_agrees_with_the_header_summary(name: str) -> None:
    head = read_head(MAILS[name])
    envelope = outline_of(MAILS[name]).parts[0].envelope
    assert envelope is not None
    assert (envelope.subject, envelope.sent_at_ms) == (head.subject, head.date_ms)
    to = [(one.name, one.address) for one in envelope.addresses.get("to", ()) if not one.group]
    assert to == [(one.name, one.address) for one in head.to]
    assert envelope.ids.get("in-reply-to", ()) == head.in_reply_to


@pytest.mark.parametrize("name", sorted(MAILS))
def test_head_and_outline_are_the_same_apart_and_together(name: str) -> None:
    both = read_outlined_head(MAILS[name])
    assert (both.head, both.outline) == (read_head(MAILS[name]), outline_of(MAILS[name]))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(both), type=type(both)) == both


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_octets_have_an_outline(content: bytes) -> None:
    check_limits(content, outline_of(content))
    check_limits(content, outline_of(content, raw=True))


def check_limits(content: bytes, outline: MailOutline) -> None:
    """Check that all parts are inside the content, and in the order that readers rely on."""
    assert outline.size_bytes == len(content)
    assert 1 <= len(outline.parts) <= PARTS_MAX + 1
    assert len(msgspec.msgpack.encode(outline)) <= OUTLINE_MAX_BYTES
    assert [part.parent for part in outline.parts] == sorted(part.parent for part in outline.parts)
    for index, part in enumerate(outline.parts):
        assert part.parent < index
        assert 0 <= part.header_start <= part.body_start
        assert part.body_start + part.size_bytes <= len(content)
        assert (part.envelope is None) == (
            part.parent >= 0 and outline.parts[part.parent].content_type.startswith("multipart/")
        )
