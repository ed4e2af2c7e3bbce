"""Delivery status notifications (RFC 3464, RFC 6522, RFC 6533): the mail that reports to a sender.

A notification has three parts: a text for people, the status of each recipient for programs, and
the header of the mail. The same report gives the same octets, so that a repeated notification is
the same mail. Every line is CRLF, printable and of at most 998 octets, for any text of a peer.
"""

import hashlib
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

from mail.text_cleaning import one_line
from schemas.ids import MailId

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]
MAIL_ID_FIELD = "X-Postriver-Mail-ID"
RETURNED_MAX_BYTES = 64 * 1024  # of the header of the mail that is reported
DIAGNOSTIC_MAX_CHARS = 1024
_LINE_CHARS = 76
_LINE_MAX_BYTES = 998
_WORD_MAX_CHARS = 200
_CONTROLS = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_LINE_END = re.compile(rb"\r\n|\r|\n")

_SUBJECTS: dict[Action, str] = {
    "failed": "Your mail could not be delivered",
    "delayed": "Your mail is delayed",
    "delivered": "Your mail was delivered",
    "relayed": "Your mail was passed on",
    "expanded": "Your mail was delivered to a list",
}
_INTRODUCTIONS: dict[Action, str] = {
    "failed": "Your mail could not be delivered to these recipients. It will not be tried again.",
    "delayed": "Your mail could not be delivered to these recipients yet. You need not do anything:"
    " it will be tried again.",
    "delivered": "Your mail was delivered to these recipients.",
    "relayed": "Your mail was passed on for these recipients to a server that does not confirm"
    " deliveries.",
    "expanded": "Your mail was delivered to these lists.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRecipient:
    """One recipient of a report. `code` 0: no reply of a peer, `text` is of this host."""

    address: str
    status: str  # enhanced status code (RFC 3463)
    orcpt: str = ""  # addr-type;address, decoded (RFC 3461 §4.2)
    code: int = 0
    text: str = ""
    server_name: str = ""
    last_attempt_ms: int | None = None
    retry_until_ms: int | None = None  # of a delayed mail


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """What is reported to `reverse_path` about one mail: one action for some recipients."""

    report_id: str  # of the notification as a mail
    mail_id: MailId  # of the mail that is reported
    action: Action
    reverse_path: str
    hostname: str  # of this host as a mail server
    recipients: Sequence[ReportedRecipient]
    reported_ms: int
    arrived_ms: int
    envid: str = ""
    header: bytes = b""  # of the mail that is reported


def notification(report: StatusReport) -> bytes | None:
    """Return the octets of the notification; None: the reverse-path is null, nothing is sent.

    The notification itself is sent with the null reverse-path (RFC 5321 §4.5.5). Its octets are
    ASCII unless an address or the header is not; then it needs SMTPUTF8 and 8BITMIME (RFC 6533).
    Raises ValueError: no recipients.
    """
    if not report.reverse_path:
        return None
    if not report.recipients:
        msg = "a report has at least one recipient"
        raise ValueError(msg)
    header = returned_header(report.header)
    addresses = (report.reverse_path, *(each.address for each in report.recipients))
    is_global = not all(map(str.isascii, addresses))
    boundary = f"=_{hashlib.sha256(report.report_id.encode()).hexdigest()[:32]}"
    parts = (
        _part("text/plain; charset=utf-8", _explanation(report)),
        _part(
            f"message/{'global-' * is_global}delivery-status",
            _status_fields(report, is_global=is_global),
        ),
        _part("text/rfc822-headers" if header.isascii() else "message/global-headers", header),
    )
    delimiter = f"--{boundary}".encode()
    body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts)
    return _head(report, boundary) + b"\r\n" + body + delimiter + b"--\r\n"


def returned_header(header: bytes) -> bytes:
    """The header that is returned: whole lines up to RETURNED_MAX_BYTES, without controls.

    Octets that are not UTF-8 are replaced, and lines are cut at 998 octets.
    """
    kept: list[bytes] = []
    size_bytes = 0
    for line in _LINE_END.split(header[:RETURNED_MAX_BYTES]):
        if not line:
            break
        cleaned = _CONTROLS.sub(b" ", line).decode(errors="replace").encode()
        cut = cleaned[:_LINE_MAX_BYTES].decode(errors="ignore").encode()
        size_bytes += len(cut) + 2
        if size_bytes > RETURNED_MAX_BYTES:
            break
        kept.append(cut + b"\r\n")
    return b"".join(kept)


def _head(report: StatusReport, boundary: str) -> bytes:
    return (
        f"From: Mail Delivery System <postmaster@{report.hostname}>\r\n"
        f"To: <{report.reverse_path}>\r\n"
        f"Subject: {_SUBJECTS[report.action]}\r\n"
        f"Date: {_date(report.reported_ms)}\r\n"
        f"Message-ID: <{report.report_id}@{report.hostname}>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        f'\tboundary="{boundary}"\r\n'
    ).encode()


def _part(content_type: str, octets: bytes) -> bytes:
    encoding = "7bit" if octets.isascii() else "8bit"
    fields = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return fields.encode() + octets


def _explanation(report: StatusReport) -> bytes:
    lines = [f"This is the mail system of {report.hostname}.", ""]
    lines += [*textwrap.wrap(_INTRODUCTIONS[report.action], _LINE_CHARS), ""]
    for recipient in report.recipients:
        lines.append(f"<{recipient.address}>")
        server = f"{recipient.server_name} said: {recipient.code} " if recipient.code else ""
        lines += [f"    {line}" for line in _wrapped(_clean(server + recipient.text))]
        if report.action == "delayed" and recipient.retry_until_ms is not None:
            lines.append(f"    It will be tried until {_date(recipient.retry_until_ms)}.")
        lines.append("")
    return "".join(f"{line}\r\n" for line in lines).encode()


def _status_fields(report: StatusReport, *, is_global: bool) -> bytes:
    """The groups of fields (RFC 3464 §2.1): one for the mail, one for each recipient."""
    groups = [_mail_fields(report)]
    groups += [_recipient_fields(report, each, is_global) for each in report.recipients]
    text = "\r\n".join("".join(_folded(name, value) for name, value in group) for group in groups)
    return text.encode() if is_global else text.encode("ascii", "replace")


def _mail_fields(report: StatusReport) -> Iterator[tuple[str, str]]:
    if report.envid:
        yield "Original-Envelope-Id", report.envid
    yield "Reporting-MTA", f"dns; {report.hostname}"
    yield MAIL_ID_FIELD, report.mail_id
    yield "Arrival-Date", _date(report.arrived_ms)


def _recipient_fields(
    report: StatusReport,
    recipient: ReportedRecipient,
    is_global: bool,  # noqa: FBT001
) -> Iterator[tuple[str, str]]:
    if recipient.orcpt:
        kind, _, address = recipient.orcpt.partition(";")
        yield "Original-Recipient", f"{kind}; {address}"
    kind = "utf-8" if is_global and not recipient.address.isascii() else "rfc822"
    yield "Final-Recipient", f"{kind}; {recipient.address}"
    yield "Action", report.action
    yield "Status", recipient.status
    if recipient.server_name:
        yield "Remote-MTA", f"dns; {recipient.server_name}"
    if recipient.code:
        yield "Diagnostic-Code", f"smtp; {recipient.code} {recipient.text}"
    elif recipient.text:
        yield "Diagnostic-Code", f"x-postriver; {recipient.text}"
    if recipient.last_attempt_ms is not None:
        yield "Last-Attempt-Date", _date(recipient.last_attempt_ms)
    if recipient.retry_until_ms is not None:
        yield "Will-Retry-Until", _date(recipient.retry_until_ms)


def _folded(name: str, value: str) -> str:
    """One field, folded at spaces, so that no octet of `value` ends it."""
    lines = _wrapped(f"{name}: {_clean(value)}")
    return "\r\n ".join(lines) + "\r\n"


def _wrapped(text: str) -> list[str]:
    pieces = (
        word[at : at + _WORD_MAX_CHARS]
        for word in text.split()
        for at in range(0, len(word), _WORD_MAX_CHARS)
    )
    return textwrap.wrap(" ".join(pieces), _LINE_CHARS, break_long_words=False) or [""]


def _clean(text: str) -> str:
    return one_line(text, limit=DIAGNOSTIC_MAX_CHARS)


def _date(at_ms: int) -> str:
    return format_datetime(datetime.fromtimestamp(at_ms // 1000, UTC))
