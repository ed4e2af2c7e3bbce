"""What a parser is asked and answers, as bytes, so that it may run in another process.

`carry_out` runs one operation; `ParserHere` runs all of them in this process, without limits.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from mail.errors import NotFound
from mail.html.sanitizer import sanitise
from mail.mime.message_parser import (
    Attachment,
    ParsedMessage,
    SearchableText,
    attachment,
    every_attachment,
    read_head,
    read_mail,
    read_words,
)
from schemas.mail import HeaderSummary

ParseOperation = Literal["head", "shown", "words", "attachment", "forms"]
TEXT_MAX_CHARS = 2 * 1024 * 1024  # of each text that a reader is shown

DELIMITERS_MAX = 200  # lines that may be MIME delimiters
WORD_MARKS_MAX = 200  # beginnings of encoded words
TAGS_MAX = 2_000


class FormSizes(msgspec.Struct, frozen=True, kw_only=True):
    """How to cut octets into forms. Not `whole`: some may be missing."""

    sizes: tuple[int, ...] = ()
    whole: bool = True


ParseResponse = (
    HeaderSummary | ParsedMessage | SearchableText | FormSizes | Attachment | None
)  # None: no such attachment


class ParseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on one mail. `raw`: without its MIME structure."""

    operation: ParseOperation
    raw: bool = False
    n: int = 0
    text_max_chars: int = 0


def carry_out(asked: ParseRequest, content: bytes) -> tuple[ParseResponse, bytes]:
    """The answer, and the octets of an attachment."""
    if asked.operation == "forms":
        if asked.raw:  # what it is read as by others, who have more time, is not known
            return FormSizes(whole=False), b""
        forms = read_forms(content, text_max_chars=asked.text_max_chars)
        return FormSizes(sizes=tuple(map(len, forms))), b"".join(forms)
    if asked.operation == "attachment":
        try:
            return attachment(content, asked.n, raw=asked.raw)
        except NotFound:
            return None, b""
    return _READ[asked.operation](asked, content), b""


def read_shown(content: bytes, *, text_max_chars: int, raw: bool = False) -> ParsedMessage:
    """As read_mail, with HTML that is safe; text has one character too many where it was cut."""
    reading = read_mail(content, raw=raw)
    html = None if reading.html is None else sanitise(reading.html[:text_max_chars])
    return msgspec.structs.replace(reading, text=reading.text[: text_max_chars + 1], html=html)


def read_forms(content: bytes, *, text_max_chars: int) -> list[bytes]:
    """What readers can be given of a mail beside the mail itself, each form once.

    That is each attachment, and the text and safe HTML where they do not stand in the mail as they
    are. Whoever scans these octets has scanned whatever is handed out.
    """
    forms = dict.fromkeys(every_attachment(content))
    shown = read_shown(content, text_max_chars=text_max_chars)
    plain = content.replace(b"\r\n", b"\n")
    for text in (shown.text, shown.html or ""):
        octets = text.encode()
        if octets.strip() not in plain:
            forms[octets] = None
    return [form for form in forms if form and form != content]


_READ: dict[str, Callable[[ParseRequest, bytes], ParseResponse]] = {
    "head": lambda asked, content: read_head(content, raw=asked.raw),
    "words": lambda asked, content: read_words(content, raw=asked.raw),
    "shown": lambda asked, content: read_shown(
        content, text_max_chars=asked.text_max_chars, raw=asked.raw
    ),
}


def unread(operation: ParseOperation) -> ParseResponse:
    """The answer for a mail of which nothing can be read within the limits."""
    failed = HeaderSummary(parse_failed=True)
    match operation:
        case "head":
            return failed
        case "words":
            return SearchableText("", ())
        case "forms":
            return FormSizes(whole=False)
        case "shown":
            return ParsedMessage(head=failed, headers=(), text="", html=None, attachments=())
        case _:
            return None


def is_quick(content: bytes, max_bytes: int) -> bool:
    """Whether parsing takes at most some milliseconds: small, and of a common shape."""
    return (
        len(content) <= max_bytes
        and content.count(b"\n--") <= DELIMITERS_MAX
        and content.count(b"=?") <= WORD_MARKS_MAX
        and content.count(b"<") <= TAGS_MAX
    )
