"""Trace header of an accepted mail: Return-Path and Received (RFC 5321 §4.4)."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from schemas.ids import MailId
from schemas.mail import Envelope

_NOT_IN_HELO = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_HELO_MAX_CHARS = 255  # RFC 5321 §4.5.3.1.2


def clean_helo(given: str) -> str:
    """The name in EHLO or HELO, safe in a header: unusual characters become `?`."""
    return _NOT_IN_HELO.sub("?", given[:_HELO_MAX_CHARS]) or "unknown"


def protocol(*, extended: bool, tls: bool, utf8: bool) -> str:
    """The `with` keyword (RFC 3848, RFC 6531 §4.3)."""
    if utf8:
        return "UTF8SMTPS" if tls else "UTF8SMTP"
    if tls:
        return "ESMTPS"  # STARTTLS is an ESMTP extension, also after HELO
    return "ESMTP" if extended else "SMTP"


def trace_header(envelope: Envelope, *, hostname: str, mail_id: MailId, at_s: float) -> bytes:
    """Return-Path and Received, folded. `for` names the recipient of a mail with one recipient.

    Paths hold no control characters (the command loop refuses them), so a path cannot end a line. A
    mail whose first line begins with a space continues the last line, where it can only add to the
    date.
    """
    tcp = f" ({_literal(envelope.client)})" if envelope.client else ""
    to = f"\r\n\tfor <{envelope.recipients[0].address}>" if len(envelope.recipients) == 1 else ""
    return (
        f"Return-Path: <{envelope.reverse_path}>\r\n"
        f"Received: from {envelope.helo}{tcp}\r\n"
        f"\tby {hostname} with {envelope.protocol}\r\n"
        f"\tid {mail_id}{to};\r\n"
        f"\t{_date(int(at_s))}\r\n"
    ).encode()


@lru_cache(maxsize=1)  # mails of the same second share it
def _date(at_s: int) -> str:
    return format_datetime(datetime.fromtimestamp(at_s, UTC))


def _literal(client: str) -> str:
    """An address-literal (RFC 5321 §4.1.3)."""
    return f"[IPv6:{client}]" if ":" in client else f"[{client}]"
