"""Minimal events for tests."""

from mail.ids import message_id, new_id
from schemas.content import Inline, Stored
from schemas.events.mail import MailReceived, MailValidated
from schemas.events.mailbox_commands import Deliver
from schemas.events.mailbox_events import CommandAnswered
from schemas.mail import Envelope, HeaderSummary, Recipient, Verdict

ENVELOPE = Envelope(
    reverse_path="a@example.org",
    recipients=(Recipient(address="alice@postriver.test", user_id="u1", domain_id="d1"),),
)


def answered(user_id: str, command_id: str) -> CommandAnswered:
    return CommandAnswered(
        user_id=user_id, domain_id="d1", command_id=command_id, outcome="unchanged"
    )


def received(mail_id: str) -> MailReceived:
    return MailReceived(
        mail_id=mail_id,
        envelope=ENVELOPE,
        content=Inline(b"Subject: hello\r\n\r\n"),
        trace_size_bytes=0,
        received_at_ms=1,
    )


def validated(mail_id: str) -> MailValidated:
    return MailValidated(
        mail_id=mail_id,
        envelope=ENVELOPE,
        content=Inline(b"Subject: hello\r\n\r\n"),
        trace_size_bytes=0,
        received_at_ms=1,
        head=HeaderSummary(subject="hello"),
    )


def deliver(mail_id: str, user_id: str) -> Deliver:
    return Deliver(
        command_id=new_id(),
        user_id=user_id,
        domain_id="d1",
        message_id=message_id(mail_id, user_id),
        mail_id=mail_id,
        folder_id="inbox",
        keywords=(),
        content=Stored(ref="r", size_bytes=1, sha256=""),
        received_at_ms=1,
        at_ms=1,
        head=HeaderSummary(subject="hello"),
        verdict=Verdict(outcome="clean"),
        hops=(),
    )
