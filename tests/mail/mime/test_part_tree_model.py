"""Part tree against a model: generated nested multiparts, malformed headers, unusual boundaries."""

import base64
import binascii
from email import message_from_bytes

from hypothesis import given, settings
from hypothesis import strategies as st

from mail.mime.part_tree import walk_tree
from mail.mime.parts import MimePart

# Text around the fields of a leaf: none, or text that senders and gateways add.
STRAY_LINES = st.sampled_from(
    [b"", b"no field\r\n", b">From a b\r\n", b"\xef\xbb\xbf", b"X-A: b\r\n c\r\n"]
)
TYPES = st.sampled_from(["%s", "%s (a; comment)", "(a)%s", "%s;"])
DATA = st.binary(max_size=60).map(lambda data: data.replace(b"--", b"-+"))
ENCODERS = {
    "base64": base64.encodebytes,
    "quoted-printable": lambda data: binascii.b2a_qp(data, quotetabs=True, istext=False),
}


@st.composite
def leaves(draw: st.DrawFn) -> tuple[bytes, object]:
    kind = draw(st.sampled_from(["application/x-a", "image/png", "text/x-b"]))
    data, name = draw(DATA), draw(st.sampled_from(["", "a b.bin", "c.d"]))
    encoding = draw(st.sampled_from(sorted(ENCODERS)))
    parameter = f'; name="{name}"' if name else ""
    written = (draw(TYPES) % kind).rstrip(";") + parameter
    header = b"Content-Type: %b\r\n%bContent-Transfer-Encoding: %b (x)\r\n" % (
        written.encode(), draw(STRAY_LINES), encoding.encode()
    )  # fmt: skip
    body = ENCODERS[encoding](data).replace(b"\n", b"\r\n")
    return header + b"\r\n" + body, (kind, name, data)


@st.composite
def mails(draw: st.DrawFn, depth: int = 3) -> tuple[bytes, object]:
    if not depth or draw(st.booleans()):
        return draw(leaves())
    parts = draw(st.lists(mails(depth - 1), min_size=1, max_size=3))
    boundary = draw(st.sampled_from(["x", "x:", "=_b-1=", "a b", "x--", "(y)"])) + str(depth)
    delimiter = b"\r\n--" + boundary.encode()
    blank = draw(st.sampled_from([b"", b" ", b"\t"]))
    end = draw(st.sampled_from([b"--\r\nepilogue", b"--", b"-- \r\n"]))
    header = b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n' % boundary.encode()
    body = b"".join(delimiter + blank + b"\r\n" + part for part, _ in parts)
    return header + draw(st.sampled_from([b"", b"preamble"])) + body + delimiter + end, [
        tree for _, tree in parts
    ]


def described(part: MimePart) -> object:
    if part.children:
        return [described(child) for child in part.children]
    return part.content_type, part.filename, part.decode()


@given(mails(), st.sampled_from([b"Subject: s\r\n", b"", b"From a b\r\nSubject: s\r\n"]))
@settings(max_examples=150, deadline=None)
def test_a_generated_tree_is_parsed(mail: tuple[bytes, object], before: bytes) -> None:
    content, tree = mail
    assert described(walk_tree(before + content).root) == tree


@given(mails())
@settings(max_examples=60, deadline=None)
def test_the_number_of_parts_equals_that_of_the_standard_library(
    mail: tuple[bytes, object],
) -> None:
    content, _ = mail
    expected = [part for part in message_from_bytes(content).walk() if not part.is_multipart()]
    if any(part.defects for part in message_from_bytes(content).walk()):
        return  # the standard library ends such a header elsewhere
    leaves_found, stack = [], [walk_tree(content).root]
    while stack:
        part = stack.pop()
        stack += reversed(part.children)
        leaves_found += [] if part.children else [part]
    assert len(leaves_found) == len(expected)
