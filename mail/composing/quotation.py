"""Quotation of a mail in a reply or a forward, as text and as HTML, with the words above it."""

import html as entities
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo

from mail.composing.outgoing_mail import QuotedMail
from mail.text_cleaning import one_line
from schemas.mail import EmailAddress

LINE_MAX_CHARS = 2_000  # of one value above a quotation
_WORDS = {
    "": {
        "wrote": "On {date}, {sender} wrote:",
        "wrote_undated": "{sender} wrote:",
        "forwarded": "---------- Forwarded message ----------",
        "From": "From", "Date": "Date", "Subject": "Subject", "To": "To", "Cc": "Cc",
    },
    "ko": {
        "wrote": "{date}, {sender} 님이 작성:",
        "wrote_undated": "{sender} 님이 작성:",
        "forwarded": "---------- 전달된 메일 ----------",
        "From": "보낸 사람", "Date": "날짜", "Subject": "제목", "To": "받는 사람", "Cc": "참조",
    },
}  # fmt: skip


def quoted_text(quote: QuotedMail, text: str, *, language: str = "", zone: tzinfo = UTC) -> str:
    r"""Return the quotation as plain text; lines end with \n."""
    heading = "\n".join(_heading(quote, language, zone))
    if quote.kind == "forward":
        return f"{heading}\n\n{text}"
    rows = (">" + row if row.startswith(">") or not row else f"> {row}" for row in text.split("\n"))
    return "\n".join([heading, *rows])


def quoted_html(quote: QuotedMail, safe: str, *, language: str = "", zone: tzinfo = UTC) -> str:
    """Return the quotation as HTML around `safe`, the sanitised HTML of the quoted mail."""
    heading = "<br>\n".join(map(entities.escape, _heading(quote, language, zone)))
    if quote.kind == "forward":
        return f"<div>{heading}</div>\n<br>\n<div>{safe}</div>"
    return f'<div>{heading}</div>\n<blockquote type="cite">{safe}</blockquote>'


def _heading(quote: QuotedMail, language: str, zone: tzinfo) -> list[str]:
    words = _WORDS.get(language.partition("-")[0].lower(), _WORDS[""])
    date = "" if quote.date_ms is None else _date(quote.date_ms, zone)
    sender = _names([quote.sender] if quote.sender else [])
    if quote.kind == "reply":
        phrase = words["wrote" if date else "wrote_undated"]
        return [phrase.format(date=date, sender=sender)] if sender else []
    values = {
        "From": sender,
        "Date": date,
        "Subject": one_line(quote.subject, limit=LINE_MAX_CHARS),
        "To": _names(quote.to),
        "Cc": _names(quote.cc),
    }
    return [
        words["forwarded"],
        *(f"{words[key]}: {value}" for key, value in values.items() if value),
    ]


def _date(at_ms: int, zone: tzinfo) -> str:
    """Return a date and time of year 1 to 9999; "": another."""
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, zone)
    except (ValueError, OverflowError, OSError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M} (UTC{moment:%z})".replace("+0000", "")


def _names(addresses: Iterable[EmailAddress]) -> str:
    texts = (f"{one.name} <{one.address}>" if one.name else one.address for one in addresses)
    return one_line(", ".join(texts), limit=LINE_MAX_CHARS)
