"""Encoded words, valid and malformed; message ids in them; octets without a declared charset."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.encoded_words import decode_field
from mail.mime.message_parser import read_head, read_mail


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("=?utf-8?Q?Caf=C3=A9 at noon? [ask]?=", "Café at noon? [ask]"),
        ("=?utf-8?Q?what=3F?= =?utf-8?Q??=", "what?"),
        ("=?utf-8?Q?really??= now", "really? now"),
        ("=?utf-8?Q?a?=20b?=", "a? b"),
        ("=?utf-8?Q?a?b?= =?utf-8?Q?c?d?=", "a?bc?d"),
        ("(=?utf-8?Q?a?=) =?utf-8?Q?b?=", "(a) b"),
        ('"=?utf-8?q?Kim?=" <a@b>, =?utf-8?q?Lee?= <c@d>', '"Kim" <a@b>, Lee <c@d>'),
        ("=?utf-8?q?Kim?=Lee =?utf-8?q?x?=", "KimLee x"),
        ("=?utf-8?q?never ended", "=?utf-8?q?never ended"),
        ("=?utf-8*en?q?a?=", "a"),
        ("=?utf-8?q?a?= =?iso-8859-1?q?=E9?= b", "aé b"),
        ("=?utf-8?B?7ZWc6g==?= =?UTF-8?B?uIA=?=", "한글"),
        ("=?utf-8?B?w6k?= =?utf-8?B?w6k?=", "éé"),
        ("=?utf-8?B?w6k?=", "é"),
        ("a =?x?= b =?utf-8?z?c?=", "a =?x?= b =?utf-8?z?c?="),
    ],
)
def test_encoded_words(written: str, text: str) -> None:
    assert decode_field(written.encode()) == text


@given(
    st.text("aé한 글x?", min_size=1, max_size=40),
    st.lists(st.integers(1, 20), max_size=6),
)
def test_base64_cut_between_words_is_joined(text: str, cuts: list[int]) -> None:
    encoded = base64.b64encode(text.encode()).decode()
    pieces, rest = [], encoded
    for cut in cuts:
        pieces, rest = [*pieces, rest[:cut]], rest[cut:]
    words = " ".join(f"=?utf-8?B?{piece}?=" for piece in [*pieces, rest] if piece)
    assert decode_field(words.encode()) == text


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "utf-8"])
def test_octets_within_a_word_are_in_its_charset(charset: str) -> None:
    word = b"=?" + charset.encode() + b"?Q?" + "Десять".encode(charset) + b"_=31?="
    assert decode_field(word) == "Десять 1"
    assert decode_field(b"\xe9 " + word).endswith(" Десять 1")


KOI8 = "Content-Type: text/plain; charset=koi8-r\r\n\r\nтекст".encode("koi8-r")
META = "Content-Type: text/html\r\n\r\n<meta charset=koi8-r><p>текст".encode("koi8-r")
PARTS = (
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nascii\r\n--x\r\n%b\r\n--x\r\n"
    b"Content-Type: text/plain\r\n\r\n%b\r\n--x\r\nContent-Disposition: attachment; "
    b'filename="%b.txt"\r\n\r\nx\r\n--x--\r\n'
)
UNDECLARED = "Борис".encode("koi8-r")


@pytest.mark.parametrize(
    "body", [KOI8, META, PARTS % (KOI8, UNDECLARED, UNDECLARED)], ids=["text", "page", "parts"]
)
def test_undeclared_octets_are_decoded_by_the_charset_of_the_text(body: bytes) -> None:
    content = b"From: %b <b@x.test>\r\nSubject: %b\r\n" % (UNDECLARED, UNDECLARED) + body
    message = read_mail(content)
    assert message.head.subject == "Борис"
    assert message.head.sender
    assert message.head.sender.name == "Борис"
    assert ("Subject", "Борис") in message.headers
    assert "текст" in message.text
    assert "текст" in (message.html or message.text)
    if message.attachments:
        assert message.attachments[0].filename == "Борис.txt"
        assert "Борис" in message.text


def test_utf_8_and_declared_text_come_before_the_charset_of_the_mail() -> None:
    message = read_mail("Subject: Борис\r\n".encode() + KOI8)
    assert (message.head.subject, message.text) == ("Борис", "текст")


@pytest.mark.parametrize(
    ("written", "ids"),
    [
        ("=?utf-8?q?=3Ca=40b=3E?=", ("a@b",)),
        ("=?utf-8?q?=3Ca-long?=\r\n =?utf-8?q?-id=40b=3E?= <c@d>", ("a-long-id@b", "c@d")),
        ("=?us-ascii?B?PGFAYj4=?=", ("a@b",)),
        ("<a@b> (of <k@x>) <c@d>", ("a@b", "c@d")),
        ("(((", ("(((",)),
        ("(:-( <a@b>", ("a@b",)),
        ("<a(1)@b>", ("a(1)@b",)),
        ("a@b (Kim)", ("a@b",)),
        ("=?utf-8?q?a=40b?=", ("a@b",)),
    ],
)
def test_message_ids_in_encoded_words_and_next_to_comments(
    written: str, ids: tuple[str, ...]
) -> None:
    head = read_head(f"References: {written}\r\nMessage-ID: {written}\r\n\r\n".encode())
    assert head.references == ids
    assert head.message_id == ids[0]
