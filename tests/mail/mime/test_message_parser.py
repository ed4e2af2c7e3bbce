"""Any octets are parsed; valid mail as by the standard library; malicious mail at bounded cost."""

import re
import time
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mail.errors import NotFound
from mail.html.text_extraction import to_text
from mail.mime.header_fields import HEADER_MAX_BYTES, read_header
from mail.mime.message_parser import attachment, read_head, read_mail, read_words
from mail.mime.parts import PARTS_MAX

UNCLEAN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
TOKENS = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b"--x", b"--x--", b"--", b'"', b"<", b">",
        b"(", b"=?utf-8?B?", b"?=", b"=?euc-kr?Q?=C7?=", b"Subject: ", b"From: ", b"To: a@b, ",
        b"Content-Type: multipart/mixed; boundary=x", b"Content-Type: text/html; charset=utf-7",
        b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64",
        b"Content-Disposition: attachment; filename*0*=''%ff;", b"Date: Mon, 99 Foo 0 9999999",
        b"Content-Transfer-Encoding: quoted-printable", b"Content-ID: <a>", b"\x00", b"\xff\xfe",
        b"\x1b$B", b"=3D=", b"QUJD", "김".encode(), "김".encode("euc-kr"), b"<script>", b"&#0;",
        b"References: ", b"multipart/alternative", b"Content-Type: ",
    ]
)  # fmt: skip
MAIL_LIKE = st.lists(TOKENS | st.binary(max_size=4), max_size=60).map(b"".join)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9)
NAMES = WORDS.filter(lambda word: not set(word) & set("/\\"))
LINES = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)


def text_values(content: bytes) -> list[str]:
    message, words = read_mail(content), read_words(content)
    head = message.head
    addresses = (*head.to, *head.cc, *head.reply_to, *((head.sender,) if head.sender else ()))
    return [
        head.subject, head.preview, head.message_id, *head.references, *head.in_reply_to,
        message.text, message.html or "", words.text, *words.filenames,
        *(text for address in addresses for text in (address.name, address.address)),
        *(text for field in message.headers for text in field),
        *(text for file in message.attachments for text in (file.filename, file.content_type)),
    ]  # fmt: skip


@given(st.binary(max_size=300) | MAIL_LIKE)
@example(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x")
@example(b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-")
@settings(max_examples=600, deadline=None)
def test_any_octets_are_read_into_clean_text(content: bytes) -> None:
    assert [text for text in text_values(content) if UNCLEAN.search(text)] == []
    head = read_head(content)
    assert head == read_mail(content).head
    assert len(head.preview) <= 200
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(head), type=type(head)) == head
    for file in read_mail(content).attachments:
        assert attachment(content, file.n)[0] == file


@given(
    subject=LINES,
    name=WORDS,
    text=st.lists(LINES, max_size=4).map("\n".join),
    html=st.none() | WORDS.map(lambda word: f"<p>{word}</p>"),
    files=st.lists(st.tuples(NAMES, st.binary(max_size=200)), max_size=3),
    cte=st.sampled_from(["base64", "quoted-printable", "8bit"]),
    ends=st.sampled_from(["\r\n", "\n"]),
)
@settings(max_examples=150, deadline=None)
def test_sane_mail_reads_as_the_standard_library_reads_it(
    subject, name, text, html, files, cte, ends
) -> None:
    content = _composed(subject, name, text, html, files, cte, ends)
    expected = message_from_bytes(content, policy=policy.default)
    message = read_mail(content)
    assert not message.head.parse_failed
    assert message.head.subject == " ".join(str(expected["subject"]).split())
    assert message.head.to[0].name == " ".join(expected["to"].addresses[0].display_name.split())
    shown = text if text.strip() or html is None else to_text(html)
    assert message.text.split() == shown.split()
    assert (message.html is None) == (html is None)
    assert [file.filename for file in message.attachments] == [name for name, _ in files]
    octets = [attachment(content, file.n)[1] for file in message.attachments]
    assert octets == [data for _, data in files]


def _composed(subject, name, text, html, files, cte, ends) -> bytes:
    mail = EmailMessage(policy=policy.SMTP.clone(linesep=ends))
    mail["Subject"], mail["From"] = subject, "kim@example.kr"
    mail["To"] = Address(name, "bob", "postriver.test")
    mail.set_content(text or "\n", cte=cte)
    if html is not None:
        mail.add_alternative(html, subtype="html", cte=cte)
    for file, data in files:
        mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=file)
    return mail.as_bytes()


HEADER = b"Content-Type: multipart/mixed; boundary=x\r\nSubject: hostile\r\n\r\n"


def deep(levels: int) -> bytes:
    return b"Subject: hostile\r\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(levels)
    )


@pytest.mark.parametrize(
    "content",
    [
        deep(100_000),
        deep(99) + b"--y\r\n" * 1_000_000,
        b"Subject: hostile\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 100_000,
        HEADER + b"--x\r\n\r\na\r\n" * 500_000,
        HEADER + b"--xy\r\n" * 1_000_000,
        (HEADER + b"--x\r\n") * 50_000,
        HEADER + b"--x\r\n" + b"a:b\r\n" * 1_000_000,
        b"Subject: hostile\r\n" + b"a:b\r\n" * 1_000_000,
        b"Subject: hostile\r\nTo: " + b'"\\"' * 500_000 + b"\r\n\r\n",
        b"Subject: hostile\r\nTo: " + b"(" * 1_000_000 + b"\r\n\r\n",
        b"Subject: hostile\r\nX: " + b"=?a?q?" * 100_000 + b"\r\n\r\n",
        b"Subject: hostile\r\nX: " + b"<b>=?euc-kr?Q?=C7?=a: " * 2_500,
        deep(99)
        + b"--b0\r\n"
        + deep(99).replace(b"=b", b"=c").replace(b"--b", b"--c") * 8
        + b"x\r\n" * 1_000_000,
        b"Subject: hostile\r\nContent-Type: text/html\r\n\r\n" + b"<!--<script><a " * 500_000,
        b"Subject: hostile\r\nContent-Type: text/html\r\n\r\n" + b"<div>" * 500_000,
        b"Subject: hostile\r\nContent-Type: text/html\r\n\r\n" + b"&" * 2_000_000,
        b"Subject: hostile\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"=!A" * 2_000_000,
        b"Subject: hostile\r\nContent-Type: text/plain;" + b' a="\\' * 100_000 + b"\r\n\r\n",
    ],
    ids=range(18),
)
def test_hostile_mail_costs_seconds_at_most(content: bytes) -> None:
    started_s = time.process_time()
    assert read_head(content).subject == "hostile"
    read_mail(content)
    assert time.process_time() - started_s < 20.0  # minutes, or the process, without the limits


def test_a_mail_beyond_a_limit_is_marked_parse_failed() -> None:
    at_limit = HEADER + b"--x\r\n\r\na\r\n" * PARTS_MAX + b"--x--\r\n"
    beyond = HEADER + b"--x\r\n\r\na\r\n" * (PARTS_MAX + 1) + b"--x--\r\n"
    assert not read_head(at_limit).parse_failed
    assert read_head(beyond).parse_failed
    long_header = b"Subject: hostile\r\nX: " + b"y" * HEADER_MAX_BYTES + b"\r\n\r\nhi"
    assert read_head(long_header).parse_failed


def test_the_size_of_a_header_summary_is_limited() -> None:
    many = b", ".join(b'"%s" <%s@x>' % (b"n" * 300, b"a" * 300) for _ in range(200))
    content = b"".join(
        b"%s: %s\r\n" % (name, many) for name in (b"From", b"To", b"Cc", b"Reply-To")
    )
    content += (
        b"References: " + b"<a@b> " * 5000 + b"\r\nSubject: " + "가".encode() * 5000 + b"\r\n"
    )
    head = read_head(content + b"\r\nhi")
    assert len(head.subject) == 998
    assert 10 < len(head.to) <= 100
    assert len(head.references) == 100
    assert len(msgspec.msgpack.encode(head)) < 48 * 1024


def test_beyond_the_limit_the_last_message_ids_are_kept() -> None:
    ids = [f"{n}{'x' * 200}@y" for n in range(100)]
    head = read_head(f"References: {' '.join(f'<{id_}>' for id_ in ids)}\r\n\r\n".encode())
    assert 20 <= len(head.references) < 60
    assert head.references == tuple(ids[-len(head.references) :])


def test_an_attachment_beyond_the_last_is_not_found() -> None:
    for n in (0, 1, -1):
        with pytest.raises(NotFound):
            attachment(b"Subject: x\r\n\r\nhi", n)


def test_dates() -> None:
    def date_ms(value: str) -> int | None:
        return read_head(f"Date: {value}\r\n\r\n".encode()).date_ms

    assert date_ms("Mon, 1 Jan 2024 09:00:00 +0900") == 1_704_067_200_000
    assert date_ms("1 Jan 2024 00:00:00 -0000 (UTC)") == 1_704_067_200_000
    assert date_ms("yesterday") is None
    assert date_ms("Mon, 1 Jan 99999 00:00:00 +9999999999") is None


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_fields_are_unfolded_with_any_line_end(line_end: bytes) -> None:
    """The first line of a mailbox file is not a field; ` From : ` is a field."""
    lines = [b"From a@example.org Mon Jan  1", b" Subject\t: one", b"\ttwo", b"   ", b"From : x"]
    header = read_header(line_end.join([*lines, b"", b"body: no"]))
    assert header.fields == [("Subject", b"one\ttwo"), ("From", b"x")]
    assert header.body_start == len(line_end.join([*lines, b"", b""]))
    assert header.complete


def alternative(plain: bytes, html: bytes) -> bytes:
    return (
        b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\n"
        + plain
        + b"\r\n--x\r\nContent-Type: text/html\r\n\r\n"
        + html
        + b"\r\n--x--\r\n"
    )


@pytest.mark.parametrize(
    "blank", [b"", b" \r\n\t", "\u00a0\u200b\u200c\u00ad\ufeff".encode(), b"\r\n\r\n"]
)
def test_a_blank_alternative_hides_nothing(blank: bytes) -> None:
    content = alternative(blank, b"<p>The invoice is due.</p>")
    assert read_head(content).preview == "The invoice is due."
    message = read_mail(content)
    assert message.text == "The invoice is due."
    assert message.html is not None
    assert "invoice" in read_words(content).text
    related = content.replace(
        b"Content-Type: text/html\r\n\r\n",
        b"Content-Type: multipart/related; boundary=y\r\n\r\n--y\r\n"
        b"Content-Type: text/html\r\n\r\n",
    ).replace(
        b"\r\n--x--",
        b"\r\n--y\r\nContent-Type: image/png\r\nContent-ID: <a>\r\n\r\nPNG\r\n--y--\r\n--x--",
    )
    assert read_mail(related).text == "The invoice is due."
    assert not read_head(related).has_attachments


def test_two_blank_alternatives_are_blank_and_text_stays_text() -> None:
    assert read_mail(alternative(b" ", b"<img src=x>")).text == ""
    content = alternative(b"Plain words", b"<p>Other words</p>")
    assert read_mail(content).text == "Plain words"
    assert read_head(content).preview == "Plain words"


def test_words_of_the_html_that_the_plain_text_lacks_are_found() -> None:
    content = alternative(b"See the web version.", b"<p>See the web version.</p><p>Total: 12</p>")
    assert read_words(content).text.split("\n") == ["See the web version.", "Total: 12"]
    assert read_mail(content).text == "See the web version."


@pytest.mark.parametrize(
    "source", [b"<html><body><p>hi", b" \r\n<!DOCTYPE HTML>\n<p>hi", b"\xef\xbb\xbf<HTML ><p>hi"]
)
def test_html_source_that_is_called_plain_text_is_read_as_html(source: bytes) -> None:
    message = read_mail(b"Content-Type: text/plain\r\n\r\n" + source)
    assert message.text == "hi"
    assert message.html is not None
    assert read_head(b"\r\n" + source).preview == "hi"
    assert read_mail(b"\r\nOf <html> I know nothing").html is None
