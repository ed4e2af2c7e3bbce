"""Values of parts for BODYSTRUCTURE and JMAP, the limits of an outline, and its sections."""

import base64

import msgspec
import pytest

from mail.mime.outline.builder import OUTLINE_MAX_BYTES, bare_outline, outline_of
from mail.mime.outline.sections import part_at, section_span
from schemas.outline import MailOutline, OutlinePart
from tests.mail.mime.test_part_tree import HOSTILE, MULTIPART, repeated
from tests.support.work_growth import assert_linear

PART = (
    b'Content-Type: application/pdf; name*0=a; name*1=b.pdf; X-MODE="q\\"u"\r\n'
    b'Content-Disposition: ATTACHMENT; filename="=?utf-8?q?f=C3=BC?=.pdf"; size=3\r\n'
    b"Content-Transfer-Encoding: BASE64\r\nContent-ID: <id@x>\r\nContent-MD5: Q2hlY2s=\r\n"
    b"Content-Description: a\r\n plan\r\nContent-Language: de, en\r\n"
    b"Content-Location: http://x.test/a\r\n\r\n"
)
NESTED = (
    b"Subject: outer\r\n" + MULTIPART % b"b" + b"--b\r\n\r\none\r\n\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n" + MULTIPART % b"c"
    + b"--c\r\nX: y\r\n\r\ntwo one\r\n--c\r\n\r\ntwo two\r\n--c--\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: leaf\r\n\r\nthree\r\n--b--\r\n"
)  # fmt: skip


def only_part(content: bytes) -> OutlinePart:
    (part,) = outline_of(content).parts
    return part


def test_all_values_of_a_part() -> None:
    part = only_part(PART + b"QUJD\r\n")
    assert part.content_type == "application/pdf"
    assert part.parameters == (("name*0", b"a"), ("name*1", b"b.pdf"), ("x-mode", b'q"u'))
    assert (part.disposition, part.encoding) == ("attachment", "base64")
    assert part.disposition_parameters == (("filename", b"=?utf-8?q?f=C3=BC?=.pdf"), ("size", b"3"))
    assert part.filename == "fü.pdf"
    assert (part.content_id, part.md5) == (b"<id@x>", b"Q2hlY2s=")
    assert (part.description, part.language) == (b"a plan", b"de, en")
    assert part.location == b"http://x.test/a"
    assert (part.size_bytes, part.lines, part.cut) == (6, 1, False)


def test_a_part_without_a_header_has_the_defaults() -> None:
    part = only_part(b"\r\n\r\nhi\r\n")
    assert (part.content_type, part.parameters, part.encoding) == ("text/plain", (), "")
    assert (part.disposition, part.body_start, part.size_bytes, part.lines) == ("", 2, 6, 2)


@pytest.mark.parametrize("value", [b"text", b"text/", b"/", b"a b/c", b"\xff/x", b"text/\xff"])
def test_a_broken_type_is_text(value: bytes) -> None:
    assert only_part(b"Content-Type: " + value + b"\r\n\r\nhi").content_type == "text/plain"


def test_octets_of_parameters_are_kept() -> None:
    part = only_part(b'Content-Type: text/plain; name="\xc7\xd1.txt"\r\n\r\nhi')
    assert part.parameters == (("name", b"\xc7\xd1.txt"),)
    assert part.filename == "한.txt"


def test_sizes_and_lines_are_those_of_the_body_alone() -> None:
    content = MULTIPART % b"b" + b"--b\r\nContent-Type: text/plain\r\n\r\none\r\ntwo\r\n\r\n--b--"
    _, part = outline_of(content).parts
    assert (part.size_bytes, part.lines) == (10, 2)


def test_a_multipart_without_parts_is_text() -> None:
    assert only_part(MULTIPART % b"b" + b"no delimiter").content_type == "text/plain"
    assert only_part(b"Content-Type: multipart/mixed\r\n\r\n--x\r\n").content_type == "text/plain"


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
def test_a_multipart_whose_delimiters_are_readable_is_not_encoded(encoding: bytes) -> None:
    header = b"Content-Transfer-Encoding: %b\r\n" % encoding + MULTIPART % b"b"
    outline = outline_of(header + b"--b\r\n\r\none\r\n--b--\r\n")
    assert [part.content_type for part in outline.parts] == ["multipart/mixed", "text/plain"]
    encoded = base64.encodebytes(b"--b\r\n\r\none\r\n--b--\r\n")
    assert only_part(header + encoded).content_type == "text/plain"


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
def test_an_attached_mail_that_is_encoded_has_no_children(encoding: bytes) -> None:
    header = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: %b\r\n\r\n" % encoding
    assert only_part(header + b"U3ViamVjdDogYQ0KDQo=\r\n").content_type == "message/rfc822"


def test_attached_mails_have_envelopes() -> None:
    outline = outline_of(NESTED)
    subjects = [part.envelope.subject for part in outline.parts if part.envelope]
    assert subjects == ["outer", "inner", "leaf"]


@pytest.mark.parametrize(
    ("numbers", "text", "octets"),
    [
        ((), "", NESTED),
        ((), "HEADER", b"Subject: outer\r\n" + MULTIPART % b"b"),
        ((1,), "", b"one\r\n"),
        ((1,), "MIME", b"\r\n"),
        ((2,), "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        ((2,), "HEADER", b"Subject: inner\r\n" + MULTIPART % b"c"),
        ((2, 1), "", b"two one"),
        ((2, 1), "MIME", b"X: y\r\n\r\n"),
        ((2, 2), "", b"two two"),
        ((3,), "", b"Subject: leaf\r\n\r\nthree"),
        ((3,), "TEXT", b"three"),
        ((3, 1), "", b"three"),
        ((3, 1), "MIME", b"Subject: leaf\r\n\r\n"),
    ],
)
def test_sections(numbers: tuple[int, ...], text, octets: bytes) -> None:
    span = section_span(outline_of(NESTED), numbers, text)
    assert span is not None
    assert NESTED[span.start : span.start + span.size_bytes] == octets


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), "MIME"), ((0,), ""), ((4,), ""), ((1, 1), ""), ((2, 3), ""), ((3, 1, 1), ""),
     ((1,), "HEADER"), ((2, 1), "TEXT"), ((3, 2), "")],
)  # fmt: skip
def test_sections_that_do_not_exist(numbers: tuple[int, ...], text) -> None:
    assert section_span(outline_of(NESTED), numbers, text) is None


def test_the_only_part_of_a_mail_is_its_body() -> None:
    outline = outline_of(b"Subject: a\r\n\r\nhi")
    assert (part_at(outline, (1,)), part_at(outline, (1, 1)), part_at(outline, (2,))) == (
        0, None, None,
    )  # fmt: skip


def test_a_mail_that_is_an_attached_mail() -> None:
    content = b"Content-Type: message/rfc822\r\n\r\nSubject: a\r\n\r\nhi"
    outline = outline_of(content)
    assert section_span(outline, (1, 1)) == section_span(outline, (1,), "TEXT")
    assert part_at(outline, (1,)) == 0


def test_parts_beyond_the_limit_are_cut_and_the_outline_says_so() -> None:
    parts = b"".join(b"--b\r\n\r\n%d\r\n" % n for n in range(1_100))
    outline = outline_of(MULTIPART % b"b" + parts)
    assert not outline.complete
    assert len(outline.parts) == 1_001
    assert outline_of(MULTIPART % b"b" + parts[:5_000]).complete


def test_an_outline_has_a_limit_of_octets() -> None:
    part = b"--b\r\nContent-Type: a/b; " + b"x=y; " * 200 + b"\r\n\r\nhi\r\n"
    outline = outline_of(MULTIPART % b"b" + part * 900)
    assert not outline.complete
    assert 100 < len(outline.parts) < 900
    assert OUTLINE_MAX_BYTES // 2 < len(msgspec.msgpack.encode(outline)) <= OUTLINE_MAX_BYTES
    assert outline.parts[1].cut


def test_a_multipart_whose_parts_were_cut_is_text() -> None:
    inner = b"--b\r\n" + MULTIPART % b"c" + b"--c\r\nContent-ID: %b\r\n\r\n--c--\r\n" % (b"x" * 990)
    outline = outline_of(MULTIPART % b"b" + inner * 450)
    assert not outline.complete
    parents = {part.parent for part in outline.parts}
    for index, part in enumerate(outline.parts):
        assert (index in parents) == part.content_type.startswith("multipart/")


def test_the_largest_first_part_fits() -> None:
    value = b"\xff" * 1_100 + b"x" * 30_000
    addresses = b", ".join(b"=?utf-8?q?a=C3=A9?= <@r:%d@x.test>" % n for n in range(3_000))
    fields = [b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc"]
    header = b"".join(b"%b: %b\r\n" % (name, addresses) for name in fields)
    names = [b"ID", b"MD5", b"Description", b"Language", b"Location", b"Transfer-Encoding"]
    header += b"".join(b"Content-%b: %b\r\n" % (name, value) for name in names)
    header += b"Content-Type: a/b; " + b"y=z; " * 5_000 + b"\r\nSubject: " + value + b"\r\n"
    header += b"Content-Disposition: " + b"y=z; " * 5_000 + b"\r\n"
    header += b"In-Reply-To: " + b"<a@b>" * 5_000 + b"\r\n"
    (part,) = outline_of(header + b"\r\nhi").parts
    assert part.cut
    assert part.envelope is not None
    assert part.envelope.cut
    assert len(msgspec.msgpack.encode(part)) <= OUTLINE_MAX_BYTES - 64


def test_a_raw_outline_has_one_text() -> None:
    outline = outline_of(NESTED, raw=True)
    (part,) = outline.parts
    assert (part.content_type, outline.complete) == ("text/plain", False)
    assert bare_outline(7) == MailOutline(7, (OutlinePart(-1, 0, 0, 7, 0, "text/plain"),), False)


ATTACHED = b"Content-Type: message/rfc822\r\n\r\n"
DEEP = {
    "attached mails in attached mails": (b"", ATTACHED, b"\r\nhi"),
    "parts of values": (MULTIPART % b"b", b"--b\r\n" + PART, b""),
    "digest": (MULTIPART.replace(b"mixed", b"digest") % b"b", b"--b\r\n\r\nFrom: a\r\n\r\n", b""),
    **HOSTILE,
}


@pytest.mark.parametrize("name", DEEP)
def test_an_outline_takes_linear_time(name: str) -> None:
    assert_linear(lambda n: repeated(*DEEP[name], n), outline_of, (50_000, 100_000, 200_000))


def test_an_attached_mail_in_many_levels_is_counted_once() -> None:
    outline = outline_of(ATTACHED * 90 + b"\r\n" + b"a\r\n" * 1_000)
    assert len(outline.parts) == 91
    assert [part.lines for part in outline.parts[:2]] == [1_179, 1_177]
