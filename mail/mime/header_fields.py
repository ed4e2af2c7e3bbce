"""Parser of the header of a mail or part: octets to ordered, unfolded fields (RFC 5322 §2.2).

Accepts any octets and never raises: UTF-8 (RFC 6532), octets without a declared charset, a first
line that begins with a space, lines that are not fields, no empty line at the end.
Limits: HEADER_MAX_BYTES and FIELDS_MAX fields; beyond them `complete` is False. Linear time.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

from mail.clock import DAY_MS
from mail.mime.encoded_words import decode_field
from mail.mime.stray_header_lines import StrayLines
from mail.text_cleaning import fitting, one_line

HEADER_MAX_BYTES = 1024 * 1024
FIELDS_MAX = 10_000
IDS_MAX = 100
IDS_MAX_BYTES = 8 * 1024
ID_MAX_CHARS = 250
DATE_MAX_CHARS = 200
_MINUTE_MS = 60_000

_LINE_END = re.compile(rb"\r\n|\r|\n")
_EMPTY_LINES = re.compile(rb"[\r\n]+")
# A field with its continuation lines; possessive, so that a long field takes no memory.
# Some mailbox exporters put a byte-order mark before the first field.
_FIELD = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t]*([!-9;-~]{1,997})[ \t]*:"
    rb"([^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*+)(?:\r\n|\r|\n|\Z)"
)
_ID = re.compile(r"<([^<>]+)>")
_ID_PIECE = re.compile(r"<[^<>]+>|[()]|[^<()]+|<")


@dataclass(slots=True)
class Header:
    """Unfolded fields in order, the offset of the body, and whether the header was read completely.

    `charset`: the charset of the text of the mail, for octets that are neither ASCII nor UTF-8.
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
        """Return the values of the fields called `name` (lower case), in order."""
        return self._by_name.get(name, [])

    def text(self, name: str, *, limit: int) -> str:
        """Return the decoded value of the first field called `name`; "": there is no such field."""
        values = self.all(name)
        return one_line(decode_field(values[0], self.charset), limit=limit) if values else ""

    def ids(self, name: str) -> tuple[str, ...]:
        """Return message ids (RFC 5322 §3.6.4) without brackets: the last IDS_MAX, in order.

        Returns at most IDS_MAX_BYTES of text; the first ids are dropped.
        """
        ids: list[str] = []
        for value in self.all(name):
            ids += _ids(decode_field(value))
        cleaned = (one_line(id_, limit=ID_MAX_CHARS) for id_ in reversed(ids[-IDS_MAX:]))
        last_first = list(fitting(filter(None, cleaned), str, max_bytes=IDS_MAX_BYTES))
        return tuple(reversed(last_first))

    def date_ms(self) -> int | None:
        """Return the Date field (RFC 5322 §3.3) as Unix milliseconds; None: absent or malformed."""
        return self._date()[0]

    def date_zone_min(self) -> int | None:
        """Return the minutes that the zone of the Date field is ahead of UTC.

        None: the zone is unknown (-0000), or the field absent or malformed.
        """
        return self._date()[1]

    def date_day(self) -> int | None:
        """Return the day of the Date field in its zone, from 1970-01-01; None: no valid field."""
        at_ms, zone_min = self._date()
        return None if at_ms is None else (at_ms + (zone_min or 0) * _MINUTE_MS) // DAY_MS

    def _date(self) -> tuple[int | None, int | None]:
        values = self.all("date")
        return _date_and_zone(values[0]) if values else (None, None)


def read_header(
    content: bytes, start: int = 0, stop: int | None = None, *, fields_max: int = FIELDS_MAX
) -> Header:
    """Parse the header from `start` to the first empty line (RFC 5322 §2.1) or to `stop`.

    `body_start` is an offset into `content`. Lines that are neither field nor continuation are
    skipped (mail/mime/stray_header_lines.py).
    """
    stop = len(content) if stop is None else stop
    limit = min(stop, start + HEADER_MAX_BYTES)
    if empty := _EMPTY_LINES.match(content, start, stop):
        return Header([], empty.end(), complete=True)
    fields: list[tuple[str, bytes]] = []
    stray: StrayLines | None = None
    position, end = start, None
    while end is None:
        while match := _FIELD.match(content, position, limit):
            fields.append((match[1].decode("ascii"), _unfold(match[2])))
            if len(fields) == fields_max:
                return Header(fields, position, complete=False)
            position = match.end()
        if empty := _LINE_END.match(content, position, limit):
            end = empty.end()
        elif position >= limit:
            break
        else:
            line_end = _line_end(content, position, limit)
            stray = stray or StrayLines()
            is_header = stray.add(content[position:line_end], position, fields)
            end = None if is_header else position
            position = line_end
    if stray and stray.finish(fields, end):
        return Header(fields, stray.body_start, complete=True)
    return Header(
        fields, position if end is None else end, complete=end is not None or limit == stop
    )


def _line_end(content: bytes, start: int, limit: int) -> int:
    match = _LINE_END.search(content, start, limit)
    return match.end() if match else limit


def _unfold(value: bytes) -> bytes:
    return value.replace(b"\r", b"").replace(b"\n", b"").strip()


def _ids(text: str) -> list[str]:
    """Return the ids in brackets outside comments; without any, the words outside comments."""
    depth = 0
    ids: list[str] = []
    plain: list[str] = []
    for piece in _ID_PIECE.findall(text):
        depth = max(0, depth + (piece == "(") - (piece == ")"))
        if not depth and piece not in {"(", ")"}:
            plain.append(piece)
            ids += _ID.findall(piece)
    if depth:  # an unclosed comment is text
        return _ID.findall(text) or text.split()
    return ids or "".join(plain).split()


def _date_and_zone(value: bytes) -> tuple[int | None, int | None]:
    try:
        moment = parsedate_to_datetime(value[:DATE_MAX_CHARS].decode("latin-1"))
        offset = moment.utcoffset()
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        at_ms = int(zoned.timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None, None
    return at_ms, None if offset is None else int(offset.total_seconds()) // 60
