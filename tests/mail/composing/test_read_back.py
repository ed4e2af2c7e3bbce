"""A composed mail is read back equal: by a strict reader, by our parser and by Python's."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

from hypothesis import given, settings

from mail.addresses import normal_address
from mail.composing.body_parts import TEXT_LINE_MAX
from mail.composing.composer import compose
from mail.composing.outgoing_mail import OutgoingMail, known_ids, references_of
from mail.composing.sent_copies import for_recipients
from mail.filenames import safe_filename
from mail.mime.encoded_words import decode_words
from mail.mime.message_parser import attachment, read_head, read_mail
from mail.text_cleaning import lines, one_line
from schemas.mail import EmailAddress
from tests.mail.composing.outgoing_mails import MAILS
from tests.mail.composing.strict_parser import read_strictly


def shown(addresses: tuple[EmailAddress, ...]) -> list[tuple[str, str]]:
    return [
        (one_line(one.name, limit=200), normal_address(one.address).lower()) for one in addresses
    ]


def text_of(mail: OutgoingMail) -> str:
    return lines(mail.text or "", limit=2_000_000).strip()


@given(MAILS)
@settings(deadline=None, max_examples=60)
def test_our_parser_reads_it_back(mail: OutgoingMail) -> None:
    octets = compose(mail).octets
    head, message = read_head(octets), read_mail(octets)
    assert not head.parse_failed
    assert head.subject == one_line(mail.subject, limit=998)
    assert head.sender
    assert shown((head.sender,)) == shown((mail.sender,))
    assert shown(head.to) == shown(mail.to)
    assert shown(head.cc) == shown(mail.cc)
    assert shown(head.reply_to) == shown(mail.reply_to)
    assert head.message_id == mail.message_id
    assert list(head.in_reply_to) == known_ids(mail.in_reply_to)
    assert list(head.references) == references_of(mail)
    assert head.date_ms == mail.date_ms
    fields = dict(message.headers)
    for name, value in mail.headers:
        assert fields[name] == value
    if mail.text and mail.text.strip():
        assert message.text.strip().startswith(text_of(mail))
    listed = [
        (part.filename, part.size_bytes, attachment(octets, part.n)[1])
        for part in message.attachments
    ]
    assert listed == [
        (
            # readers decode encoded words in filenames, as many programs write them there
            one_line(decode_words(safe_filename(one.filename, f"attachment-{n}")), limit=255),
            len(one.octets()),
            one.octets(),
        )
        for n, one in enumerate(mail.attachments, start=1)
    ]


@given(MAILS)
@settings(deadline=None, max_examples=60)
def test_it_is_strictly_valid_and_has_only_its_own_fields(mail: OutgoingMail) -> None:
    composed = compose(mail)
    root = read_strictly(composed.octets)
    expected = {"from", "date", "message-id", "mime-version", "content-type"}
    optional = {
        "to": mail.to, "cc": mail.cc, "bcc": mail.bcc, "reply-to": mail.reply_to,
        "subject": mail.subject.strip(), "in-reply-to": known_ids(mail.in_reply_to),
        "references": references_of(mail), **{name.lower(): "x" for name, _ in mail.headers},
        "content-transfer-encoding": not root.children,
    }  # fmt: skip
    assert set(root.fields) == expected | {name for name, value in optional.items() if value}
    types = [leaf.content_type for leaf in root.leaves()]
    assert (
        types[: 1 + (mail.html is not None)]
        == ["text/plain", "text/html"][: 1 + (mail.html is not None)]
    )
    assert len(types) == 1 + (mail.html is not None) + len(mail.attachments)
    assert composed.octets.isascii() or composed.needs_smtputf8
    for leaf in root.leaves():
        if leaf.fields["content-transfer-encoding"] != b"7bit":
            assert max(map(len, leaf.body.split(b"\r\n"))) <= TEXT_LINE_MAX


@given(MAILS)
@settings(deadline=None, max_examples=40)
def test_the_standard_library_reads_it_back(mail: OutgoingMail) -> None:
    composed = compose(mail)
    message = cast("EmailMessage", message_from_bytes(composed.octets, policy=policy.default))
    assert not any(part.defects for part in message.walk())
    assert one_line(str(message.get("Subject", "")), limit=998) == one_line(mail.subject, limit=998)
    body = message.get_body(("plain",))
    assert body is not None
    if mail.text and mail.text.strip():
        assert body.get_content().replace("\r\n", "\n").strip().startswith(text_of(mail))
    files = [part for part in message.walk() if part.get_filename() is not None]
    assert [part.get_payload(decode=True) for part in files] == [
        one.octets() for one in mail.attachments
    ]


@given(MAILS)
@settings(deadline=None, max_examples=40)
def test_recipients_get_the_same_mail_without_bcc(mail: OutgoingMail) -> None:
    octets = b"X-Postriver-Draft: a\r\n b\r\n" + compose(mail).octets
    own, sent = read_strictly(octets), read_strictly(for_recipients(octets))
    removed = {"bcc", "x-postriver-draft"}
    kept = {name: value for name, value in own.fields.items() if name not in removed}
    if not mail.to and not mail.cc:
        kept["to"] = b"undisclosed-recipients:;"
    assert sent.fields == kept
    assert sent.body == own.body
    assert octets.endswith(compose(mail).octets)
