"""Delivery status notifications: what is written can be read, by us and by Python's email."""

import email
import email.policy
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.ids import MailId
from mail.mime.message_parser import read_head
from mail.sending.delivery_status import (
    RETURNED_MAX_BYTES,
    ReportedRecipient,
    StatusReport,
    notification,
)
from mail.sending.incoming_status import READ_MAX_BYTES, RECIPIENTS_MAX, read_status
from mail.sending.sendable_content import ContentCheck

AT_MS = 1_780_000_000_000
HEADER = b"Received: by x\r\nFrom: a@here.test\r\nSubject: hello\r\n"
RECIPIENT = ReportedRecipient(
    address="bob@there.test", orcpt="rfc822;Bob@there.test", status="5.1.1", code=550,
    text="5.1.1 no such user", server_name="mx.there.test", last_attempt_ms=AT_MS,
)  # fmt: skip


def report(**fields) -> StatusReport:
    given = {
        "report_id": "r-1", "mail_id": MailId("m-1"), "action": "failed", "envid": "QQ1",
        "reverse_path": "a@here.test", "hostname": "mx.here.test", "recipients": (RECIPIENT,),
        "reported_ms": AT_MS, "arrived_ms": AT_MS - 1000, "header": HEADER,
    }  # fmt: skip
    return StatusReport(**(given | fields))


def sendable(content: bytes | None) -> bytes:
    """The notification, checked: it must itself be fit to be sent."""
    assert content is not None
    check = ContentCheck(eight_bit=not content.isascii())
    assert check.feed(content) + check.finish() == content
    return content


def test_python_reads_the_three_parts() -> None:
    content = sendable(notification(report()))
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert not message.defects
    text, status, header = message.iter_parts()
    assert "mx.there.test said: 550 5.1.1 no such user" in text.get_content()
    mail_fields, recipient_fields = status.get_payload()
    assert dict(mail_fields.items()) == {
        "Original-Envelope-Id": "QQ1", "Reporting-MTA": "dns; mx.here.test",
        "X-Postriver-Mail-ID": "m-1", "Arrival-Date": "Thu, 28 May 2026 20:26:39 +0000",
    }  # fmt: skip
    assert dict(recipient_fields.items()) == {
        "Original-Recipient": "rfc822; Bob@there.test", "Final-Recipient": "rfc822; bob@there.test",
        "Action": "failed", "Status": "5.1.1", "Remote-MTA": "dns; mx.there.test",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
        "Last-Attempt-Date": "Thu, 28 May 2026 20:26:40 +0000",
    }  # fmt: skip
    assert header.get_content_type() == "text/rfc822-headers"
    assert "Subject: hello" in header.get_payload()


def test_a_repeated_notification_has_the_same_octets() -> None:
    assert notification(report()) == notification(report())
    assert notification(report()) != notification(report(report_id="r-2"))


def test_no_notification_goes_to_the_null_reverse_path() -> None:
    assert notification(report(reverse_path="")) is None


def test_a_report_without_recipients_is_refused() -> None:
    with pytest.raises(ValueError):
        notification(report(recipients=()))


@pytest.mark.parametrize("action", ["failed", "delayed", "delivered", "relayed", "expanded"])
def test_a_notification_is_read_back(action: str) -> None:
    status = read_status(sendable(notification(report(action=action))))
    assert status is not None
    assert (status.envid, status.reporting_mta, status.mail_id) == ("QQ1", "mx.here.test", "m-1")
    (recipient,) = status.recipients
    assert (recipient.final, recipient.original) == ("bob@there.test", "Bob@there.test")
    assert (recipient.action, recipient.status) == (action, "5.1.1")
    assert recipient.diagnostic == "smtp; 550 5.1.1 no such user"


def test_a_delay_says_how_long_it_is_tried() -> None:
    recipient = ReportedRecipient(
        address="b@there.test", status="4.4.1", text="no answer", retry_until_ms=AT_MS + 86_400_000
    )
    content = sendable(notification(report(action="delayed", recipients=(recipient,))))
    assert b"Will-Retry-Until: Fri, 29 May 2026 20:26:40 +0000\r\n" in content
    assert b"Diagnostic-Code: x-postriver; no answer\r\n" in content
    assert b"tried until Fri, 29 May 2026" in content


def test_addresses_beyond_ascii() -> None:
    recipient = ReportedRecipient(address="grüße@there.test", status="5.1.1", orcpt="utf-8;grüße@t")
    content = sendable(notification(report(recipients=(recipient,))))
    assert b"Content-Type: message/global-delivery-status\r\n" in content
    status = read_status(content)
    assert status is not None
    assert (status.recipients[0].final, status.recipients[0].original) == (
        "grüße@there.test", "grüße@t",
    )  # fmt: skip


TEXTS = st.text(
    st.characters(exclude_categories=("Cs",)) | st.sampled_from("\r\n\0:\u2028\x85 \t-"),
    max_size=60,
) | st.sampled_from(["x" * 5000, "a " * 3000, "5.1.1\r\n\r\n--\r\nBcc: x@y", "=?utf-8?q?=0D=0A?="])


@given(TEXTS, TEXTS, st.binary(max_size=200))
def test_what_a_peer_said_ends_no_field_and_no_part(text: str, server: str, header: bytes) -> None:
    recipient = ReportedRecipient(
        address="bob@there.test", status="5.1.1", code=550, text=text, server_name=server
    )
    content = sendable(notification(report(recipients=(recipient,), header=header, envid=text)))
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    assert message.get_all("Bcc") is None
    assert len(message.get_payload()) == 3
    assert len(message.get_payload()[1].get_payload()) == 2
    status = read_status(content)
    assert status is not None
    assert [each.final for each in status.recipients] == ["bob@there.test"]


def test_the_returned_header_is_bounded_and_clean() -> None:
    header = (
        b"X: \0\x1b"
        + b"y" * 5000
        + "\u00fc".encode() * 300
        + b"\nBad: \xff\n"
        + b"Z: z\r\n" * 40_000
    )
    content = sendable(
        notification(report(header=header + b"\r\nbody", recipients=(RECIPIENT,) * 100))
    )
    assert len(content) < RETURNED_MAX_BYTES + 100 * 1024
    assert b"body" not in content
    assert b"message/global-headers" in content


EXIM = b"""Return-path: <>\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b1\r
MIME-Version: 1.0\r
\r
--b1\r
Content-type: text/plain; charset=us-ascii\r
\r
A message that you sent could not be delivered.\r
\r
--b1\r
Content-type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.exim.test\r
\r
Action: failed\r
Final-Recipient: rfc822;bob@exim.test\r
Status: 5.0.0\r
Remote-MTA: dns; 127.0.0.1\r
Diagnostic-Code: smtp; 550 unknown\r
  user\r
\r
Action: unheard-of\r
Final-Recipient: rfc822;x@exim.test\r
\r
\r
Final-Recipient: rfc822;eve@exim.test\r
ACTION: Delayed (for now)\r
\r
final-recipient:carol@exim.test\r
action:delayed\r
status: 4.4.1 (no answer)\r
\r
--b1\r
Content-type: message/rfc822\r
\r
Subject: x\r
--b1--\r
"""


def test_a_notification_of_another_server_is_read() -> None:
    status = read_status(EXIM)
    assert status is not None
    assert (status.reporting_mta, status.envid, status.mail_id) == ("mx.exim.test", "", "")
    assert [(each.final, each.action, each.status) for each in status.recipients] == [
        ("bob@exim.test", "failed", "5.0.0"), ("carol@exim.test", "delayed", "4.4.1"),
    ]  # fmt: skip
    assert status.recipients[0].diagnostic == "smtp; 550 unknown user"


def test_an_ordinary_mail_is_no_notification() -> None:
    assert read_status(b"From: a@b\r\n\r\nAction: failed\r\n") is None
    assert read_status(b"") is None


@given(st.lists(st.sampled_from(EXIM.split(b"\r\n")), max_size=60).map(b"\r\n".join))
def test_broken_notifications_do_no_harm(content: bytes) -> None:
    for cut in (content, EXIM[:700] + content):
        status = read_status(cut)
        assert status is None or len(status.recipients) <= RECIPIENTS_MAX


@pytest.mark.parametrize(
    "filling", [b"\r\n", b"Action: failed\r\n\r\n", b"x\r\n", b"a:b\r\n", b"-"]
)
def test_reading_is_bounded(filling: bytes) -> None:
    start = EXIM.index(b"Action: failed")
    began_s = time.process_time()
    status = read_status(EXIM[:start] + filling * (4_000_000 // len(filling)))
    assert time.process_time() - began_s < 5
    assert status is None or len(status.recipients) <= RECIPIENTS_MAX
    assert read_head(EXIM[:READ_MAX_BYTES])
