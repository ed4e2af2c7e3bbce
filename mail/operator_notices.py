"""Operator notices: their causes, and the mail that reports a cause; pure functions."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from mail.clock import DAY_MS
from mail.ids import dated_id
from mail.mime.message_parser import read_head
from schemas.content import Inline
from schemas.events.mail import MailScanned
from schemas.ids import MailId
from schemas.mail import Envelope, Hop, Recipient, Verdict

HELD_MS = 15 * 60_000  # a hold of this length is reported
_FIGURES = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Notice:
    """A problem to report. `cause` is the same while it lasts; figures in `text` may change."""

    cause: str
    text: str


def notices_of(status: Mapping[str, Any], now_ms: int) -> Iterator[Notice]:
    """The notices for a /status document: its warnings, and holds of HELD_MS or longer."""
    for text in status.get("warnings", []):
        yield Notice(f"warning-{_digest(_FIGURES.sub('', text))}", text)
    for role in status.get("roles", []):
        for held in role.get("held", []):
            minutes = (now_ms - held["since_ms"]) // 60_000
            if now_ms - held["since_ms"] >= HELD_MS:
                yield Notice(
                    f"held-{role['name']}-{held['engine']}",
                    f"{role['name']} has waited for {held['engine']} for {minutes} minutes. Mail is"
                    " safe in the log and late: nothing passes unscanned, nothing is lost.",
                )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def notice_mail(notice: Notice, *, hostname: str, to: Recipient, now_ms: int) -> MailScanned:
    """The mail of a notice. The same cause on the same day gives the same mail id.

    The mail is not scanned: a scanner may be the problem, and the text is made here.
    """
    day_ms = now_ms // DAY_MS * DAY_MS
    mail_id = MailId(dated_id(day_ms, hostname, notice.cause))
    date = format_datetime(datetime.fromtimestamp(now_ms / 1000, UTC))
    trace = (
        f"Return-Path: <>\r\nReceived: by {hostname} (a notice)\r\n\tid {mail_id};\r\n\t{date}\r\n"
    ).encode()
    content = trace + _text(notice, hostname, to, mail_id, date)
    return MailScanned(
        mail_id=mail_id,
        envelope=Envelope(reverse_path="", recipients=(to,), helo=hostname, protocol="notice"),
        content=Inline(content),
        trace_size_bytes=len(trace),
        received_at_ms=now_ms,
        head=read_head(content),
        verdict=Verdict(outcome="clean", detail="a notice of this installation, not scanned"),
        hops=(
            Hop(stage="notice", started_at_ms=now_ms, took_ms=0, verdict=notice.cause, attempt=1,
                worker=hostname),
        ),
    )  # fmt: skip


def _text(notice: Notice, hostname: str, to: Recipient, mail_id: MailId, date: str) -> bytes:
    """The message (RFC 5322), with the field of RFC 3834 §5 against automatic replies."""
    text = " ".join(notice.text.split())
    return (
        f"From: Postriver <postmaster@{hostname}>\r\n"
        f"To: <{to.address}>\r\n"
        f"Subject: Postriver on {hostname} needs you: {notice.cause.partition('-')[0]}\r\n"
        f"Date: {date}\r\n"
        f"Message-ID: <{mail_id}@{hostname}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\n"
        f"{text}\r\n\r\n"
        "See: postriver status, postriver doctor, HOME/log/notices.log.\r\n"
        "You get this once a day for as long as it is so.\r\n"
    ).encode()
