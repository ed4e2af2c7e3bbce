"""A mail's header as it really arrives: octets in, ordered fields and clean text out.

RFC 5322 §2.2 (fields, folding), RFC 6532 (UTF-8), and what senders do beside them: undeclared
8-bit, a first line that begins with a space, lines that are no fields, no empty line at the end.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

from mail.mime.encoded_words import decoded
from mail.mime.stray_header_lines import StrayLines
from mail.text_cleaning import fitting, one_line

HEADER_MAX_BYTES = 1024 * 1024
FIELDS_MAX = 10_000
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
_ID = re.compile(r"<([^<>]+)>")
_ID_PIECE = re.compile(r"<[^<>]+>|[()]|[^<()]+|<")


@dataclass(slots=True)
class Header:
    """Fields in their order, unfolded; where the body begins; whether all of it was read.

    `charset`: that of the mail's own text, for octets that are neither ASCII nor UTF-8.
    """

    fields: list[tuple[str, bytes]]
    body_start: int
    complete: bool
    charset: str = field(init=False, default="")
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
        return one_line(decoded(values[0], self.charset), limit=limit) if values else ""

    def ids(self, name: str) -> tuple[str, ...]:
        """Message ids (RFC 5322 §3.6.4) without brackets, the last IDS_KEPT and IDS_KEPT_BYTES."""
        found: list[str] = []
        for value in self.all(name):
            found += _ids(decoded(value))
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
    continuation are skipped, see mail/mime/stray_header_lines.py. Reads HEADER_MAX_BYTES and
    `fields_max` fields at most. Linear in what it reads.
    """
    stop = len(content) if stop is None else stop
    limit = min(stop, start + HEADER_MAX_BYTES)
    if empty := _EMPTY_LINES.match(content, start, stop):
        return Header([], empty.end(), complete=True)
    fields: list[tuple[str, bytes]] = []
    junk: StrayLines | None = None
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
            junk = junk or StrayLines()
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


def _ids(text: str) -> list[str]:
    """Ids in brackets, else the words that may be ids; none of those in comments."""
    depth = 0
    found: list[str] = []
    plain: list[str] = []
    for piece in _ID_PIECE.findall(text):
        depth = max(0, depth + (piece == "(") - (piece == ")"))
        if not depth and piece not in {"(", ")"}:
            plain.append(piece)
            found += _ID.findall(piece)
    if depth:  # a comment without an end is none
        return _ID.findall(text) or text.split()
    return found or "".join(plain).split()


def _date_ms(value: bytes) -> int | None:
    try:
        moment = parsedate_to_datetime(value[:DATE_MAX_CHARS].decode("latin-1"))
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(zoned.timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
