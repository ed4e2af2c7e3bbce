"""A mail's header as it really arrives: octets in, ordered fields and clean text out.

RFC 5322 §2.2 (fields, folding), RFC 2047 (encoded words), RFC 6532 (UTF-8), and what senders do
beside them: undeclared 8-bit, a first line that begins with a space, no empty line at the end.
"""

import binascii
import re
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import pairwise

from mail.charsets import decode_text, guess_text
from mail.clean import fitting, one_line

HEADER_MAX_BYTES = 1024 * 1024
FIELDS_MAX = 10_000
VALUE_MAX_CHARS = 64 * 1024
IDS_KEPT = 100
IDS_KEPT_BYTES = 8 * 1024
ID_MAX_CHARS = 250
DATE_MAX_CHARS = 200

_LINE_END = re.compile(rb"\r\n|\r|\n")
_MBOX_LINE = re.compile(rb"From (?![ \t]*:)[^\r\n]*(?:\r\n|\r|\n|\Z)")
# A field with the lines that continue it; possessive, so that a long one takes no memory.
_FIELD = re.compile(
    rb"[ \t]*([!-9;-~]{1,997})[ \t]*:"
    rb"([^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*+)(?:\r\n|\r|\n|\Z)"
)
_WORD = re.compile(r"=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?([^?]*)\?=")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_ID = re.compile(r"<([^<>]+)>")


@dataclass(slots=True)
class Header:
    """Fields in their order, unfolded; where the body begins; whether all of it was read."""

    fields: list[tuple[str, bytes]]
    body_start: int
    complete: bool
    _by_name: dict[str, list[bytes]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, value in self.fields:
            self._by_name.setdefault(name.lower(), []).append(value)

    def all(self, name: str) -> list[bytes]:
        """Values of the fields called `name` (lower case), in their order."""
        return self._by_name.get(name, [])

    def text(self, name: str, *, limit: int) -> str:
        """The first such field, decoded; "" when there is none."""
        values = self.all(name)
        return one_line(decoded(values[0]), limit=limit) if values else ""

    def ids(self, name: str) -> tuple[str, ...]:
        """Message ids (RFC 5322 §3.6.4) without brackets, the last IDS_KEPT and IDS_KEPT_BYTES."""
        found: list[str] = []
        for value in self.all(name):
            text = guess_text(value[:VALUE_MAX_CHARS])
            found += _ID.findall(text) or text.split()
        cleaned = (one_line(id_, limit=ID_MAX_CHARS) for id_ in reversed(found[-IDS_KEPT:]))
        last_first = list(fitting(filter(None, cleaned), str, max_bytes=IDS_KEPT_BYTES))
        return tuple(reversed(last_first))

    def date_ms(self) -> int | None:
        """The Date: field (RFC 5322 §3.3) as a Unix millisecond; None when unreadable."""
        values = self.all("date")
        return _date_ms(values[0]) if values else None


def read_header(content: bytes) -> Header:
    """The header of a mail. Beyond HEADER_MAX_BYTES and FIELDS_MAX nothing is read.

    Fields are looked at one by one: thousands of parts may each begin with a header of few lines
    that no empty line ends, and megabytes behind it.
    """
    if content[:1] in (b"\n", b"\r"):
        return Header([], len(content) - len(content.lstrip(b"\r\n")), complete=True)
    fields: list[tuple[str, bytes]] = []
    mbox_line = _MBOX_LINE.match(content, 0, HEADER_MAX_BYTES)
    at = mbox_line.end() if mbox_line else 0
    while found := _FIELD.match(content, at, HEADER_MAX_BYTES):
        fields.append((found[1].decode("ascii"), _unfolded(found[2])))
        if len(fields) == FIELDS_MAX:
            return Header(fields, at, complete=False)
        at = found.end()
    empty_line = _LINE_END.match(content, at, HEADER_MAX_BYTES)
    at = empty_line.end() if empty_line else at  # where it is missing the body begins already
    return Header(fields, at, complete=at < HEADER_MAX_BYTES or len(content) <= HEADER_MAX_BYTES)


def _unfolded(value: bytes) -> bytes:
    return value.replace(b"\r", b"").replace(b"\n", b"").strip()


def decoded(value: bytes) -> str:
    """A field's value with its encoded words decoded, of any length and not yet clean."""
    return decode_words(guess_text(value[:VALUE_MAX_CHARS]))


def decode_words(text: str) -> str:
    """RFC 2047. Neighbours of one charset are joined before they are decoded.

    §5 forbids to split a character over two words; many senders do it all the same.
    """
    if "=?" not in text:
        return text
    words = list(_WORD.finditer(text))
    if not words:
        return text
    pieces, octets = [text[: words[0].start()]], _word_octets(words[0])
    for word, following in pairwise(words):
        between = text[word.end() : following.start()]
        if not between.strip() and word[1].lower() == following[1].lower():
            octets += _word_octets(following)
            continue
        pieces += [decode_text(octets, word[1]), between if between.strip() else ""]
        octets = _word_octets(following)
    pieces += [decode_text(octets, words[-1][1]), text[words[-1].end() :]]
    return "".join(pieces)


def _word_octets(word: re.Match[str]) -> bytes:
    data = word[3].encode("utf-8", "surrogatepass")
    if word[2] in "qQ":
        return binascii.a2b_qp(data.replace(b" ", b"_"), header=True)
    return lenient_base64(data)


def lenient_base64(data: bytes) -> bytes:
    """What can be had of broken base64: foreign octets skipped, a cut end dropped."""
    letters = _NOT_BASE64.sub(b"", data)
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _date_ms(value: bytes) -> int | None:
    try:
        moment = parsedate_to_datetime(value[:DATE_MAX_CHARS].decode("latin-1"))
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(zoned.timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
