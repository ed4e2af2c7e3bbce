"""Fields of an outgoing mail, and their checks; a fault names its place.

Limits are those of one mail. Texts are cleaned, not refused: a pasted control character is removed.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final, Literal

from mail.composing.address_input import CONTROL, checked_address
from mail.composing.faults import ComposingFault
from mail.errors import BadAddress
from schemas.ids import MailId
from schemas.mail import EmailAddress

RECIPIENTS_MAX = 100  # of To, Cc and Bcc together
REPLY_TO_MAX = 10
SUBJECT_MAX_CHARS = 998
TEXT_MAX_CHARS = 1024 * 1024  # of the text and of the HTML, each; of a quote likewise
ATTACHMENTS_MAX = 100
HEADERS_MAX = 50
HEADER_VALUE_MAX_CHARS = 998
REFERENCES_MAX = 50
SIZE_MAX_BYTES = 50 * 1024 * 1024  # of the whole mail

QuoteKind = Literal["reply", "forward"]
RECIPIENT_FIELDS: Final = ("to", "cc", "bcc")

_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_ALLOWED_PREFIXES = ("x-", "list-")
_ALLOWED_NAMES = frozenset({
    "auto-submitted", "comments", "content-language", "importance", "keywords", "organization",
    "precedence", "priority", "sensitivity",
})  # fmt: skip
# Fields that servers write and trust, also when a sender's own mail comes back.
_SERVER_PREFIXES = ("x-postriver-", "x-spam-", "x-virus-", "x-envelope-", "x-original-")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=^_`{|}~.-]{1,100}@[A-Za-z0-9.-]{1,150}")
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$&'*+=_~.-]{1,100}(?:@[A-Za-z0-9.-]{1,100})?")
_RECEIVED_ID = re.compile(r"(?!.*=\?)[!-;=?-~]{1,250}")  # as received mail has them


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingAttachment:
    """A file of the mail. A function as `content` is called once, when the file is written."""

    filename: str
    content_type: str  # with parameters, as in Content-Type; anything unknown is sent as octets
    content: bytes | Callable[[], bytes]
    inline: bool = False
    content_id: str = ""  # by which the HTML refers to it, as cid:ID

    def octets(self) -> bytes:
        return self.content() if callable(self.content) else self.content


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedMail:
    """The mail that is replied to or forwarded; its HTML need not be safe."""

    kind: QuoteKind
    text: str
    html: str | None = None
    sender: EmailAddress | None = None
    to: tuple[EmailAddress, ...] = ()
    cc: tuple[EmailAddress, ...] = ()
    subject: str = ""
    date_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMail:
    """What a user wrote. The same fields, ids and time always give the same octets."""

    mail_id: MailId
    message_id: str  # id-left@id-right, without brackets
    date_ms: int
    sender: EmailAddress
    to: tuple[EmailAddress, ...] = ()
    cc: tuple[EmailAddress, ...] = ()
    bcc: tuple[EmailAddress, ...] = ()
    reply_to: tuple[EmailAddress, ...] = ()
    subject: str = ""
    text: str | None = None  # None: made from the HTML
    html: str | None = None
    attachments: tuple[OutgoingAttachment, ...] = ()
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    quote: QuotedMail | None = None
    headers: tuple[tuple[str, str], ...] = ()
    language: str = ""  # of the words above a quote: ko, else English
    zone: tzinfo = UTC  # of Date and of the date above a quote

    @property
    def recipients(self) -> tuple[EmailAddress, ...]:
        return (*self.to, *self.cc, *self.bcc)


def check(mail: OutgoingMail) -> None:
    """Raises ComposingFault: the first field of `mail` that cannot be sent."""
    for fault in _faults(mail):
        raise fault


def is_content_id(id_: str) -> bool:
    """Whether an attachment can have the content id."""
    return _CONTENT_ID.fullmatch(id_) is not None


def known_ids(ids: Iterable[str]) -> list[str]:
    """Return the ids of received mails that can be written into a field; others are left out."""
    return [id_ for id_ in dict.fromkeys(ids) if _RECEIVED_ID.fullmatch(id_)]


def references_of(mail: OutgoingMail) -> list[str]:
    """Return References (RFC 5322 §3.6.4): the first id, and the last up to REFERENCES_MAX."""
    ids = known_ids((*mail.references, *mail.in_reply_to))
    return ids if len(ids) <= REFERENCES_MAX else [ids[0], *ids[1 - REFERENCES_MAX :]]


_Faults = Iterator[ComposingFault]


def _faults(mail: OutgoingMail) -> _Faults:
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        yield ComposingFault("message_id", "A message id such as name@example.org.")
    yield from _address("from", mail.sender)
    for name in (*RECIPIENT_FIELDS, "reply_to"):
        for number, address in enumerate(getattr(mail, name)):
            yield from _address(f"{name}[{number}]", address)
    if len(mail.recipients) > RECIPIENTS_MAX:
        yield ComposingFault("to", f"At most {RECIPIENTS_MAX} recipients in to, cc and bcc.")
    if len(mail.reply_to) > REPLY_TO_MAX:
        yield ComposingFault("reply_to", f"At most {REPLY_TO_MAX} addresses.")
    yield from _line("subject", mail.subject, SUBJECT_MAX_CHARS)
    for name, text in (("text", mail.text), ("html", mail.html)):
        if text is not None and len(text) > TEXT_MAX_CHARS:
            yield ComposingFault(name, f"At most {TEXT_MAX_CHARS} characters.")
    yield from _attachments(mail.attachments)
    yield from _headers(mail.headers)


def _address(place: str, address: EmailAddress) -> _Faults:
    try:
        checked_address(address.name, address.address)
    except BadAddress as error:
        yield ComposingFault(f"{place}.address", f"{error.detail}.")


def _line(place: str, text: str, most: int) -> _Faults:
    if len(text) > most or CONTROL.search(text):
        yield ComposingFault(place, f"At most {most} characters, no line ends or controls.")


def _attachments(attachments: tuple[OutgoingAttachment, ...]) -> _Faults:
    if len(attachments) > ATTACHMENTS_MAX:
        yield ComposingFault("attachments", f"At most {ATTACHMENTS_MAX}.")
    known: set[str] = set()
    for number, attachment in enumerate(attachments):
        id_, place = attachment.content_id, f"attachments[{number}].content_id"
        if id_ and not is_content_id(id_):
            yield ComposingFault(place, "Letters, digits and -._ such as image1, or id@domain.")
        if id_ and id_ in known:
            yield ComposingFault(place, "Another attachment has this id.")
        known.add(id_)


def _headers(headers: tuple[tuple[str, str], ...]) -> _Faults:
    if len(headers) > HEADERS_MAX:
        yield ComposingFault("headers", f"At most {HEADERS_MAX}.")
    known: set[str] = set()
    for name, value in headers:
        place, lower = f"headers.{name[:64]}", name.lower()
        if not _is_allowed(name):
            yield ComposingFault(place, "This header field cannot be set.")
        if lower in known:
            yield ComposingFault(place, "Give it once.")
        if not value.strip():
            yield ComposingFault(place, "A value is missing.")
        if not is_settable(name, value):
            yield ComposingFault(place, "ASCII characters only.")
        yield from _line(place, value, HEADER_VALUE_MAX_CHARS)
        known.add(lower)


def is_settable(name: str, value: str) -> bool:
    """Whether a sender may set the header field to `value`, apart from its length."""
    return _is_allowed(name) and (name.lower().startswith("x-") or value.isascii())


def _is_allowed(name: str) -> bool:
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name) or lower.startswith(_SERVER_PREFIXES):
        return False
    return lower in _ALLOWED_NAMES or lower.startswith(_ALLOWED_PREFIXES)
