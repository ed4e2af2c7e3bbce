"""Trees that a test made are found again: nested multiparts, broken headers, odd boundaries."""

import base64
import binascii
from email import message_from_bytes

from hypothesis import given, settings
from hypothesis import strategies as st

from mail.mime.part_tree import walk_tree
from mail.mime.parts import MimePart

# What stands around a leaf's fields: nothing, or what senders and gateways put there.
JUNK = st.sampled_from(
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
        written.encode(), draw(JUNK), encoding.encode()
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
        made for _, made in parts
    ]


def described(part: MimePart) -> object:
    if part.children:
        return [described(child) for child in part.children]
    return part.content_type, part.filename, part.decode()


@given(mails(), st.sampled_from([b"Subject: s\r\n", b"", b"From a b\r\nSubject: s\r\n"]))
@settings(max_examples=150, deadline=None)
def test_the_tree_that_was_made_is_found(mail: tuple[bytes, object], before: bytes) -> None:
    content, made = mail
    assert described(walk_tree(before + content).root) == made


@given(mails())
@settings(max_examples=60, deadline=None)
def test_there_are_as_many_parts_as_the_standard_library_finds(
    mail: tuple[bytes, object],
) -> None:
    content, _ = mail
    theirs = [one for one in message_from_bytes(content).walk() if not one.is_multipart()]
    if any(one.defects for one in message_from_bytes(content).walk()):
        return  # it ends a header where ours does not
    ours, waiting = [], [walk_tree(content).root]
    while waiting:
        part = waiting.pop()
        waiting += reversed(part.children)
        ours += [] if part.children else [part]
    assert len(ours) == len(theirs)
