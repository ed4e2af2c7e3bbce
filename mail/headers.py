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
from mail.header_junk import Junk
from mail.transfer import lenient_base64

HEADER_MAX_BYTES = 1024 * 1024
FIELDS_MAX = 10_000
VALUE_MAX_CHARS = 64 * 1024
IDS_KEPT = 100
IDS_KEPT_BYTES = 8 * 1024
ID_MAX_CHARS = 250
DATE_MAX_CHARS = 200

_LINE_END = re.compile(rb"\r\n|\r|\n")
_EMPTY_LINES = re.compile(rb"[\r\n]+")
# A field with the lines that continue it; possessive, so that a long one takes no memory.
# Some exporters put a byte-order mark before the first field.
_FIELD = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t]*([!-9;-~]{1,997})[ \t]*:"
    rb"([^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*+)(?:\r\n|\r|\n|\Z)"
)
_WORD = re.compile(r"=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?([^?]*)\?=")
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


def read_header(
    content: bytes, start: int = 0, stop: int | None = None, *, fields_max: int = FIELDS_MAX
) -> Header:
    """The header that begins at `start`: to the first empty line (RFC 5322 §2.1), or to `stop`.

    `body_start` counts from the beginning of `content`. Lines that are neither field nor
    continuation are skipped, see mail/header_junk.py. Reads HEADER_MAX_BYTES and `fields_max`
    fields at most. Linear in what it reads.
    """
    stop = len(content) if stop is None else stop
    limit = min(stop, start + HEADER_MAX_BYTES)
    if empty := _EMPTY_LINES.match(content, start, stop):
        return Header([], empty.end(), complete=True)
    fields: list[tuple[str, bytes]] = []
    junk: Junk | None = None
    at, end = start, None
    while end is None:
        while found := _FIELD.match(content, at, limit):
            fields.append((found[1].decode("ascii"), _unfolded(found[2])))
            if len(fields) == fields_max:
                return Header(fields, at, complete=False)
            at = found.end()
        if empty := _LINE_END.match(content, at, limit):
            end = empty.end()
        elif at >= limit:
            break
        else:
            line_end = _line_end(content, at, limit)
            junk = junk or Junk()
            end = None if junk.take(content[at:line_end], at, fields) else at
            at = line_end
    if junk and junk.settle(fields, end):
        return Header(fields, junk.body_start, complete=True)
    return Header(fields, at if end is None else end, complete=end is not None or limit == stop)


def _line_end(content: bytes, at: int, limit: int) -> int:
    found = _LINE_END.search(content, at, limit)
    return found.end() if found else limit


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


def _date_ms(value: bytes) -> int | None:
    try:
        moment = parsedate_to_datetime(value[:DATE_MAX_CHARS].decode("latin-1"))
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(zoned.timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
