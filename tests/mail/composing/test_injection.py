"""No input ends a header field or a part: hostile text in every field of an outgoing mail."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.composing.composer import compose
from mail.composing.faults import ComposingFault
from mail.composing.header_fields import folded
from mail.composing.outgoing_mail import OutgoingAttachment, OutgoingMail, QuotedMail
from mail.composing.sent_copies import for_recipients
from schemas.mail import EmailAddress
from tests.mail.composing.outgoing_mails import BOB, PLAIN
from tests.mail.composing.strict_parser import read_strictly

TOKENS = st.sampled_from(
    [
        "\r\n", "\n", "\r", "\x00", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\ud800",
        "\r\nX-Evil: 1\r\n", "\nX-Evil: 1", "\r\n\r\nbody", "=?utf-8?q?=0D=0AX-Evil:_1?=",
        "=?utf-8?b?DQpYLUV2aWw6IDEK?=", "X-Evil: 1", "Bcc: e@evil.example", "%0D%0AX-Evil: 1",
        "\r\n.\r\n", "\r\n--", "--=_", '"', "\\", "\\\r\n", "<", ">", "(", ")", ",", ";", ":", "@",
        "=", "?=", " ", "\t", "a", "a@b.example", "é", "김", "\u202e", "x" * 1000, "'", "*",
    ]
)  # fmt: skip
HOSTILE = st.lists(TOKENS, min_size=1, max_size=5).map("".join)
FIELDS = {
    "from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "in-reply-to",
    "references", "mime-version", "content-type", "content-transfer-encoding", "x-mailer",
}  # fmt: skip
PART_FIELDS = {"content-type", "content-transfer-encoding", "content-disposition", "content-id"}
FILE = OutgoingAttachment(filename="a.bin", content_type="a/b", content=b"x", content_id="image1")
QUOTE = QuotedMail(kind="forward", text="quoted", sender=BOB)
MAIL = OutgoingMail(
    **PLAIN, to=(BOB,), subject="hello", html='<img src="cid:image1">', attachments=(FILE,)
)


def with_file(**values: Any) -> OutgoingMail:
    return replace(MAIL, html="x", attachments=(replace(FILE, **values),))


def with_quote(**values: Any) -> OutgoingMail:
    return replace(MAIL, quote=replace(QUOTE, **values))


MADE = {
    "sender name": lambda text: replace(MAIL, sender=EmailAddress(text, "bob@example.org")),
    "sender address": lambda text: replace(MAIL, sender=EmailAddress("", text)),
    "local part": lambda text: replace(MAIL, to=(EmailAddress("", f"{text}@example.org"),)),
    "quoted local part": lambda text: replace(MAIL, cc=(EmailAddress("", f'"{text}"@a.example'),)),
    "domain": lambda text: replace(MAIL, bcc=(EmailAddress("a", f"bob@{text}"),)),
    "recipient name": lambda text: replace(MAIL, to=(EmailAddress(text, "a@example.org"), BOB)),
    "reply_to": lambda text: replace(MAIL, reply_to=(EmailAddress(text, text),)),
    "subject": lambda text: replace(MAIL, subject=text),
    "message_id": lambda text: replace(MAIL, message_id=f"{text}@example.org"),
    "in_reply_to": lambda text: replace(MAIL, in_reply_to=(text, "a@b")),
    "references": lambda text: replace(MAIL, references=("a@b", text)),
    "header": lambda text: replace(MAIL, headers=(("X-Mailer", text),)),
    "header name": lambda text: replace(MAIL, headers=((text, "x"),)),
    "header name after X-": lambda text: replace(MAIL, headers=((f"X-{text}", "x"),)),
    "filename": lambda text: with_file(filename=text),
    "content type": lambda text: with_file(content_type=text),
    "charset": lambda text: with_file(content_type=f"text/plain; charset={text}"),
    "quoted charset": lambda text: with_file(content_type=f'text/plain; charset="{text}"'),
    "content_id": lambda text: with_file(content_id=text),
    "content": lambda text: with_file(content=text.encode("utf-8", "surrogatepass")),
    "attached mail": lambda text: with_file(
        content_type="message/rfc822", content=text.encode("utf-8", "surrogatepass")
    ),
    "text": lambda text: replace(MAIL, html=None, text=text),
    "html": lambda text: replace(MAIL, html=text),
    "image": lambda text: replace(MAIL, html=f'<img src="cid:{text}">'),
    "quoted text": lambda text: with_quote(text=text, kind="reply"),
    "quoted html": lambda text: with_quote(html=text),
    "quoted subject": lambda text: with_quote(subject=text),
    "quoted sender": lambda text: with_quote(sender=EmailAddress(text, text)),
    "language": lambda text: replace(with_quote(), language=text),
}  # fmt: skip


def composed_or_refused(mail: OutgoingMail) -> bytes | None:
    try:
        return compose(mail).octets
    except ComposingFault as error:
        fault = error
    assert fault.place
    assert len(fault.detail) < 300
    return None


@pytest.mark.parametrize("name", sorted(MADE))
def test_hostile_text_is_refused_or_harmless(name: str) -> None:
    @given(HOSTILE)
    @settings(deadline=None, max_examples=60)
    def check(text: str) -> None:
        octets = composed_or_refused(MADE[name](text))
        if octets is None:
            return
        for copy in (octets, for_recipients(octets)):
            root = read_strictly(copy)
            extra = set(root.fields) - FIELDS
            assert not extra or name == "header name after X-"
            assert len(extra) <= 1
            for leaf in root.leaves() if root.children else []:
                assert set(leaf.fields) <= PART_FIELDS
        types = [leaf.content_type for leaf in root.leaves()]
        assert types[0] == "text/plain"
        assert len(types) == 1 + (name != "text") + 1

    check()


def test_every_field_that_text_enters_is_tried() -> None:
    entered = {
        "mail_id", "date_ms", "zone",  # made by this server
        "sender", "to", "cc", "bcc", "reply_to", "message_id", "subject", "text", "html",
        "attachments", "in_reply_to", "references", "quote", "headers", "language",
    }  # fmt: skip
    assert entered == set(OutgoingMail.__dataclass_fields__)


@pytest.mark.parametrize("token", ["a\r\nB: c", "a\nb", "a\x00", "a\u2028b", "x" * 901])
def test_the_writer_of_fields_refuses_what_its_callers_let_pass(token: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        folded("Subject", [token])
