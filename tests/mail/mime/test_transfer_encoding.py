"""Content-Transfer-Encodings that are malformed, wrong, or not allowed."""

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.message_parser import attachment, read_head, read_mail
from mail.mime.transfer_encoding import decode_transfer, lenient_base64, uuencoded

B64 = base64.b64encode


def uu(name: str, data: bytes) -> bytes:
    lines = [binascii.b2a_uu(data[start : start + 45]) for start in range(0, len(data), 45)]
    return b"begin 644 %b\n" % name.encode() + b"".join(lines) + b"`\nend\n"


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.sampled_from([b"", b"\r\n"]))
def test_each_padded_block_is_decoded_on_its_own(blocks: list[bytes], between: bytes) -> None:
    written = between.join(map(B64, blocks))
    assert lenient_base64(written) == b"".join(blocks)


@pytest.mark.parametrize(
    "suffix",
    [
        b"\r\n_______________\r\nlist mailing list", b"\r\n--\r\nsent by a gateway", b"?", b"====",
        b"\r\ntwo words", b"\r\n\r\nA",
    ],
)  # fmt: skip
def test_text_after_padding_is_dropped(suffix: bytes) -> None:
    assert lenient_base64(B64(b"data") + suffix) == b"data"


@given(st.binary(max_size=200))
def test_broken_base64_never_fails(data: bytes) -> None:
    assert len(lenient_base64(data)) <= len(data)
    assert len(decode_transfer(data, "base64", is_text=True)) <= len(data)


@pytest.mark.parametrize(
    "text",
    [
        "Hello there",
        "Grüße",
        "hello",
        "See https://example.org/x",
        "첫 줄\n둘째 줄\n",
        "a b\nword\nc, d",
    ],
)
def test_text_labelled_base64_is_text(text: str) -> None:
    content = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    assert read_mail((content + text).encode()).text == text
    assert read_mail(content.encode() + B64(text.encode())).text == text


def test_a_multipart_that_is_base64_as_a_whole_has_its_parts() -> None:
    parts = b"--x\r\n\r\nhi\r\n--x\r\nContent-Type: a/b; name=f\r\n\r\ndata\r\n--x--"
    content = (
        b"Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(parts)
    )
    assert read_mail(content).text == "hi"
    assert attachment(content, 1)[1] == b"data"


def test_a_wrong_encoding_of_a_multipart_is_ignored() -> None:
    content = (
        b"Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"--x\r\n\r\nhi\r\n--x--\r\n"
    )
    assert read_mail(content).text == "hi"


@given(st.binary(max_size=200), st.sampled_from(["a.bin", "two words.txt", "ü.zip"]))
def test_uuencoded_files_in_a_text_are_attachments(data: bytes, name: str) -> None:
    content = b"Subject: s\n\nbefore\n" + uu(name, data) + b"between\n" + uu("b", b"B") + b"after\n"
    message = read_mail(content)
    assert message.text == "before\nbetween\nafter\n"
    assert [file.filename for file in message.attachments] == [name, "b"]
    assert attachment(content, 1)[1] == data
    assert message.head.has_attachments
    part = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n" + content + b"--x\n\nmore\n--x--\n"
    assert [file.filename for file in read_mail(part).attachments] == [name, "b"]


@pytest.mark.parametrize("label", ["x-uuencode", "uuencode", "X-UUE"])
def test_a_part_that_is_uuencoded_is_decoded(label: str) -> None:
    content = f"Content-Type: a/b; name=f\nContent-Transfer-Encoding: {label}\n\n".encode()
    assert attachment(content + uu("f", b"data"), 1)[1] == b"data"
    assert attachment(content + uu("f", b"data" * 99)[:-30], 1)[1].startswith(b"data" * 50)
    assert attachment(content + b"no such thing", 1)[1] == b"no such thing"


@pytest.mark.parametrize(
    "text",
    ["begin 644 now\nand read on\nend\n", "begin 644 x\nM00\n", "we begin 644 things\n`\nend\n"],
)
def test_text_similar_to_uuencode_is_not_changed(text: str) -> None:
    assert list(uuencoded(text.encode())) == []
    assert read_mail(b"Subject: s\n\n" + text.encode()).text == text


def test_a_text_part_with_a_name_is_displayed_and_is_an_attachment() -> None:
    content = (
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain; name=a.txt\n"
        b"\nthe text\n--x\n\nmore\n--x--\n"
    )
    message = read_mail(content)
    assert message.text == "the text\n\nmore"
    assert [file.filename for file in message.attachments] == ["a.txt"]
    assert attachment(content, 1)[1] == b"the text"


def test_an_invitation_gets_a_filename_for_calendars() -> None:
    content = (
        b"Content-Type: multipart/alternative; boundary=x\n\n--x\n\nKim accepted\n--x\n"
        b"Content-Type: text/calendar; method=REPLY\n\nBEGIN:VCALENDAR\n--x--\n"
    )
    assert read_head(content).preview == "Kim accepted"
    assert [file.filename for file in read_mail(content).attachments] == ["attachment-1.ics"]
