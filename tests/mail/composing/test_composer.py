"""Structure, images, encodings, quotations and limits of composed mails."""

from dataclasses import replace
from email import message_from_bytes
from typing import Any

import pytest

from mail.composing import outgoing_mail as limits
from mail.composing.composer import compose
from mail.composing.faults import ComposingFault
from mail.composing.header_fields import text_field
from mail.composing.outgoing_mail import OutgoingAttachment, OutgoingMail, QuotedMail
from mail.mime.message_parser import attachment, read_mail
from schemas.mail import EmailAddress
from tests.mail.composing.outgoing_mails import BOB, MAIL_ID, PLAIN

PICTURE = OutgoingAttachment(
    filename="p.png", content_type="image/png", content=b"PNG", inline=True, content_id="image1"
)
FILE = OutgoingAttachment(filename="a.txt", content_type="text/plain", content=b"abc")
MAIL = OutgoingMail(**PLAIN, to=(BOB,), subject="hello", text="hello\n")


def types(mail: OutgoingMail) -> list[str]:
    return [part.get_content_type() for part in message_from_bytes(compose(mail).octets).walk()]


def fault(**values: Any) -> ComposingFault:
    with pytest.raises(ComposingFault) as caught:
        compose(replace(MAIL, **values))
    return caught.value


def test_the_octets_of_a_plain_mail() -> None:
    assert compose(MAIL).octets == (
        b"From: Bob <bob@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: hello\r\n"
        b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
        b"Message-ID: <" + MAIL_ID.encode() + b"@example.org>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: text/plain; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: 7bit\r\n\r\nhello\r\n"
    )


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({}, ["text/plain"]),
        ({"html": "<b>x</b>"}, ["multipart/alternative", "text/plain", "text/html"]),
        ({"attachments": (FILE,)}, ["multipart/mixed", "text/plain", "text/plain"]),
        (
            {"html": "<img src=cid:image1>", "attachments": (PICTURE, FILE)},
            [
                "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related",
                "text/html", "image/png", "text/plain",
            ],
        ),
        (
            {"html": "no image", "attachments": (PICTURE,)},
            ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "image/png"],
        ),
    ],
)  # fmt: skip
def test_structure(values: dict[str, Any], parts: list[str]) -> None:
    assert types(replace(MAIL, **values)) == parts


def test_html_is_cleaned_and_its_text_is_made_from_it() -> None:
    html = "<p onclick=x()>one</p><script>x()</script><img src=https://t.example/1.gif><p>two"
    message = read_mail(compose(replace(MAIL, text=None, html=html)).octets)
    assert message.text == "one\n\ntwo\n"
    assert message.html
    assert not any(word in message.html for word in ("script", "onclick", "t.example"))


def test_an_image_is_shown_under_a_whole_content_id() -> None:
    mail = replace(MAIL, html='<img src="CID:image1" alt="a">', attachments=(PICTURE,))
    octets = compose(mail).octets
    assert b'<img src="cid:image1@example.org" alt="a">' in octets
    assert b"Content-ID: <image1@example.org>" in octets
    assert attachment(octets, 1)[1] == b"PNG"
    whole = replace(PICTURE, content_id="x@y.example")
    assert b"<x@y.example>" in compose(replace(mail, html="", attachments=(whole,))).octets


def test_an_image_that_is_not_attached_is_a_fault_but_not_in_a_quote() -> None:
    assert fault(html="<img src=cid:other>").place == "html"
    quote = QuotedMail(kind="reply", text="", html="<img src=cid:other>x", sender=BOB)
    octets = compose(replace(MAIL, html="mine", quote=quote)).octets
    assert b"cid:" not in octets


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"Subject: x\r\n\r\nascii\r\n", "message/rfc822"),
        ("Subject: x\r\n\r\n한글\r\n".encode(), "application/octet-stream"),
        (b"Subject: x\r\n\r\n" + b"x" * 999 + b"\r\n", "application/octet-stream"),
        (b"Subject: x\n\nbare\n", "application/octet-stream"),
    ],
)
def test_an_attached_mail_is_not_encoded(content: bytes, content_type: str) -> None:
    mail = OutgoingAttachment(filename="a.eml", content_type="message/rfc822", content=content)
    octets = compose(replace(MAIL, attachments=(mail,))).octets
    part, found = attachment(octets, 1)
    assert (part.content_type, found) == (content_type, content)


def test_a_boundary_within_an_attached_mail_is_avoided() -> None:
    first = compose(replace(MAIL, attachments=(FILE,))).octets
    boundary = first[first.index(b"--=_") :].split(b"\r\n")[0]
    inner = b"Subject: x\r\n\r\n" + boundary + b"--\r\n"
    mail = OutgoingAttachment(filename="a.eml", content_type="message/rfc822", content=inner)
    assert attachment(compose(replace(MAIL, attachments=(mail,))).octets, 1)[1] == inner


def test_a_function_gives_the_content_once() -> None:
    calls = []

    def read() -> bytes:
        calls.append(1)
        return b"late"

    octets = compose(replace(MAIL, attachments=(replace(FILE, content=read),))).octets
    assert attachment(octets, 1)[1] == b"late"
    assert len(calls) == 1


def test_a_reply_quotes_text_and_html() -> None:
    quote = QuotedMail(
        kind="reply", text="one\n> two\n\nthree", html="<p onload=x>one</p>",
        sender=EmailAddress("김하늘", "sky@example.org"), date_ms=1_700_000_000_000,
    )  # fmt: skip
    message = read_mail(compose(replace(MAIL, html="<p>hello</p>", quote=quote)).octets)
    heading = "On 2023-11-14 22:13 (UTC), 김하늘 <sky@example.org> wrote:"
    assert message.text.rstrip() == f"hello\n\n{heading}\n> one\n>> two\n>\n> three"
    assert message.html
    assert '<blockquote type="cite"><p>one</p></blockquote>' in message.html
    assert "김하늘 &lt;sky@example.org&gt; wrote:" in message.html
    korean = read_mail(compose(replace(MAIL, quote=quote, language="ko-KR")).octets)
    assert "2023-11-14 22:13 (UTC), 김하늘 <sky@example.org> 님이 작성:" in korean.text


def test_a_forward_quotes_the_header() -> None:
    quote = QuotedMail(kind="forward", text="body", subject="<old>", sender=BOB, to=(BOB,))
    text = read_mail(compose(replace(MAIL, text="", quote=quote)).octets).text
    assert text.rstrip() == (
        "---------- Forwarded message ----------\nFrom: Bob <bob@example.org>\nSubject: <old>\n"
        "To: Bob <bob@example.org>\n\nbody"
    )


@pytest.mark.parametrize(
    "value", [f"{'word ' * 40}end", "한글 제목 " * 20, "x" * 990, "=?utf-8?q?=41?=", "é"]
)
def test_a_folded_subject_is_read_as_it_was(value: str) -> None:
    field = text_field("Subject", value)
    assert read_mail(field + b"\r\nx").head.subject == " ".join(value.split())
    if " " in value:
        assert max(map(len, field.split(b"\r\n"))) <= 76


def test_only_a_local_part_needs_smtputf8() -> None:
    assert not compose(replace(MAIL, to=(EmailAddress("김", "a@bücher.example"),))).needs_smtputf8
    composed = compose(replace(MAIL, cc=(EmailAddress("김", "하늘@bücher.example"),)))
    assert composed.needs_smtputf8
    assert "<하늘@xn--bcher-kva.example>".encode() in composed.octets


def test_references_keep_the_first_and_the_last() -> None:
    ids = tuple(f"{number}@example.org" for number in range(80))
    written = read_mail(compose(replace(MAIL, references=ids)).octets).head.references
    assert written == (ids[0], *ids[31:])
    assert len(written) == limits.REFERENCES_MAX


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"to": (BOB, EmailAddress("", "bob"))}, "to[1].address"),
        ({"bcc": (EmailAddress("a\nb", "b@example.org"),)}, "bcc[0].address"),
        ({"to": (BOB,) * 60, "cc": (BOB,) * 41}, "to"),
        ({"reply_to": (BOB,) * 11}, "reply_to"),
        ({"subject": "a\r\nb"}, "subject"),
        ({"subject": "a" * 999}, "subject"),
        ({"text": "a" * (1024 * 1024 + 1)}, "text"),
        ({"html": "a" * (1024 * 1024 + 1)}, "html"),
        ({"attachments": (FILE,) * 101}, "attachments"),
        ({"attachments": (PICTURE, PICTURE)}, "attachments[1].content_id"),
        ({"attachments": (replace(PICTURE, content_id="a b"),)}, "attachments[0].content_id"),
        ({"headers": (("From", "a"),)}, "headers.From"),
        ({"headers": (("X-Spam-Status", "No"),)}, "headers.X-Spam-Status"),
        ({"headers": (("X-Postriver-Draft", "a"),)}, "headers.X-Postriver-Draft"),
        ({"headers": (("Received", "a"),)}, "headers.Received"),
        ({"headers": (("X-A", "a"), ("x-a", "b"))}, "headers.x-a"),
        ({"headers": (("X-A", " "),)}, "headers.X-A"),
        ({"headers": (("Importance", "é"),)}, "headers.Importance"),
        ({"headers": tuple((f"X-{n}", "a") for n in range(51))}, "headers"),
        ({"message_id": "a"}, "message_id"),
    ],
)
def test_a_fault_names_its_place(values: dict[str, Any], place: str) -> None:
    assert fault(**values).place == place


def test_a_mail_that_is_too_large_is_refused_before_all_of_it_is_read() -> None:
    read: list[int] = []

    def content(number: int) -> bytes:
        read.append(number)
        return b"x" * 1024

    files = tuple(
        replace(FILE, content=lambda number=number: content(number)) for number in range(10)
    )
    with pytest.raises(ComposingFault) as caught:
        compose(replace(MAIL, attachments=files), size_max_bytes=4096)
    assert caught.value.place == "attachments[2]"
    assert read == [0, 1, 2]
    with pytest.raises(ComposingFault, match="4096 bytes"):
        compose(replace(MAIL, to=(BOB,) * 100, attachments=files[:2]), size_max_bytes=4096)
