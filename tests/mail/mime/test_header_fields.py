"""The end of a header, and lines in it that are not fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.header_fields import read_header
from mail.mime.message_parser import read_head, read_mail

TRACE = (
    b"Return-Path: <kim@x.test>\r\nReceived: from a by b;\r\n\tFri, 27 Nov 2026 09:00:00 +0000\r\n"
)
FIELDS = b"From: Kim <kim@x.test>\r\nSubject: of junk\r\nContent-Type: text/html\r\n"
STRAY_LINES = [
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf\r\n",
    b"From kim@x.test Fri Nov 27 09:00:00 2026\r\n",
    b">From kim@x.test Fri Nov 27 09:00:00 2026\r\n",
    b">>From kim@x.test Fri Nov 27\r\n",
    b"this is no field\r\n",
    b"name=lost.zip\r\n",
    b"*** scanned, clean ***\r\n",
    b"-- \r\n--junk--\r\n",
    b"(12:30) no name has a space: not even this\r\n\tnor what continues it\r\n",
    b": no name\r\n",
    b"caf\xe9\r\n",
]


@pytest.mark.parametrize("stray", STRAY_LINES, ids=range(len(STRAY_LINES)))
@pytest.mark.parametrize("trace", [b"", TRACE], ids=["alone", "traced"])
def test_a_stray_line_does_not_end_a_header(stray: bytes, trace: bytes) -> None:
    lines = FIELDS.splitlines(keepends=True)
    for index in range(len(lines)):
        broken = b"".join([trace, *lines[:index], stray, *lines[index:], b"\r\n<p>body</p>\r\n"])
        message = read_mail(broken)
        assert message.head.subject == "of junk", index
        assert message.head.sender
        assert message.head.sender.address == "kim@x.test"
        assert message.text.strip() == "body"
        assert not message.head.parse_failed


def test_a_stray_line_does_not_end_the_header_of_a_part() -> None:
    part = (
        b"--x\r\nContent-Type: text/html\r\nno field\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    mail = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + part + b"PGI+aGk8L2I+\r\n--x--"
    assert read_mail(mail).html == "<b>hi</b>"


@pytest.mark.parametrize(
    ("content", "fields", "body"),
    [
        (b"A: b\r\nno field\r\nC: d\r\n\r\nbody", ["A", "C"], b"body"),
        (b"A: b\r\nno field\r\nC: d\r\n", ["A"], b"no field\r\nC: d\r\n"),
        (b"A: b\r\nno field\r\nnor this\r\n\r\nbody", ["A"], b"no field\r\nnor this\r\n\r\nbody"),
        (b"one\r\nA: b\r\ntwo\r\n\r\nbody", ["A"], b"two\r\n\r\nbody"),
        (b"words\r\nalone", [], b"words\r\nalone"),
        (b"\xef\xbb\xbfA: b\r\nC: d", ["A", "C"], b""),
        (b">From a\r\nA: b\r\nC: d", ["A", "C"], b""),
        (TRACE + b"From a\r\nA: b", ["Return-Path", "Received", "A"], b""),
        (
            b"Content-Type: multipart/mixed; boundary=x\r\n--x\r\nA: b\r\n\r\nhi",
            ["Content-Type"],
            b"--x\r\nA: b\r\n\r\nhi",
        ),
    ],
)
def test_where_the_body_begins(content: bytes, fields: list[str], body: bytes) -> None:
    header = read_header(content)
    assert [name for name, _ in header.fields] == fields
    assert content[header.body_start :] == body
    assert header.complete


def test_a_continuation_that_lost_its_white_space_still_counts() -> None:
    content = (
        b"To: a@x.test,\r\nKim <b@x.test>,\r\n c@x.test\r\n"
        b"Content-Type: text/plain;\r\nformat=flowed;\r\ncharset=koi8-r\r\n\r\n\xf4\xc5\xcb\xd3\xd4"
    )
    message = read_mail(content)
    assert [address.address for address in message.head.to] == ["a@x.test", "b@x.test", "c@x.test"]
    assert message.text == "Текст"


@given(
    st.lists(
        st.sampled_from([b"A: b", b"junk", b" fold", b"", b"--x", b"From x", b"B: c;", b"d=e"])
    ),
    st.integers(0, 30),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_a_header_within_a_mail_is_parsed_like_a_separate_header(
    lines: list[bytes], before: int, end: bytes
) -> None:
    alone = end.join(lines)
    within = b"x" * before + alone + b"\nZ: z\n\n"
    header, other = read_header(alone), read_header(within, before, before + len(alone))
    assert header.fields == other.fields
    assert (header.body_start + before, header.complete) == (other.body_start, other.complete)
    assert 0 <= header.body_start <= len(alone)


def test_a_header_without_an_end_is_parsed_up_to_its_limit() -> None:
    assert not read_head(b"A: b\r\n" * 200_000).message_id
    assert read_header(b"A: b\r\n" * 200_000).complete is False
    assert read_header(b"words without a field\r\n" * 100_000).complete is True
