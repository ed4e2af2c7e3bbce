"""Parser of address lists in header fields (RFC 5322 §3.4, §4.4): mailboxes and groups.

Accepts any text and never raises: quoted strings, comments, groups, obsolete routes, and encoded
words in the wrong places. Text without an address is kept as a name, so that users see it.
Limits: those of the caller; events have ADDRESSES_MAX and ADDRESSES_MAX_BYTES. Linear time.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from mail.mime.encoded_words import decode_words, field_text
from mail.text_cleaning import fitting, one_line
from schemas.mail import EmailAddress
from schemas.outline import OutlineAddress

ADDRESSES_MAX = 100
ADDRESSES_MAX_BYTES = 8 * 1024  # of one field: every event of the mail carries these addresses
NAME_MAX_CHARS = 200
SENT_NAME_MAX_CHARS = 1_000  # encoded words are longer than what they encode
ADDRESS_MAX_CHARS = 254

_QUOTED = r'"(?:[^"\\]|\\.)*"'
# An escaped character is one token everywhere, so that an unclosed quote is searched only once.
_PIECE = re.compile(
    rf'{_QUOTED}|<(?:{_QUOTED}|\\.|[^<>"\\])*>?|\\.|[(),:;]|[^"<(),:;\\]+|.', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_address_list(
    values: list[bytes], *, limit: int = ADDRESSES_MAX, fallback_charset: str = ""
) -> tuple[EmailAddress, ...]:
    """Return the addresses in the values of one field, in order.

    Returns at most `limit` addresses and ADDRESSES_MAX_BYTES of text. Names in octets without a
    declared charset are decoded by `fallback_charset`, the charset of the mail.
    """
    entries = parse_address_entries(values, limit=limit, fallback_charset=fallback_charset)
    addresses = (EmailAddress(entry.name, entry.address) for entry in entries if not entry.group)
    return tuple(
        fitting(
            addresses, lambda address: address.name + address.address, max_bytes=ADDRESSES_MAX_BYTES
        )
    )


def parse_address_entries(
    values: list[bytes], *, limit: int, fallback_charset: str = ""
) -> list[OutlineAddress]:
    """Return the mailboxes, and the starts and ends of groups, in the values of one field.

    Returns at most `limit` mailboxes and `limit` groups.
    """
    parser = _ListParser(limit)
    for value in values:
        parser.add(field_text(value, fallback_charset))
    return parser.entries


class _Name(NamedTuple):
    """A display name, decoded and with its encoded words as sent."""

    decoded: str = ""
    sent: str = ""


@dataclass(slots=True)
class _PartialAddress:
    """The address that is being parsed."""

    words: list[str] = field(default_factory=list)  # undecoded
    comments: list[str] = field(default_factory=list)
    angle: str | None = None  # the text in angle brackets
    depth: int = 0  # of nested comments


@dataclass(slots=True)
class _ListParser:
    """Parses the values of one field into `entries`."""

    limit: int
    entries: list[OutlineAddress] = field(default_factory=list)
    _addresses: int = 0  # entries that are no start or end of a group
    _names: list[_Name] = field(default_factory=list)  # without an address, until the next address
    _in_group: bool = False

    def add(self, text: str) -> None:
        """Add the entries of one value."""
        pieces = _PIECE.findall(text)
        last_group_end = max(
            (index for index, piece in enumerate(pieces) if piece == ";"), default=-1
        )
        partial = _PartialAddress()
        for index, piece in enumerate(pieces):
            if self._is_full():
                return
            if partial.depth or piece == "(":
                _add_comment(partial, piece)
            elif piece in {",", ";"}:
                self._finish(partial)
                partial = _PartialAddress()
                if piece == ";":
                    self._end_group()
            elif piece == ":" and partial.angle is None and index < last_group_end:
                self._start_group(partial)
            elif piece.startswith("<") and partial.angle is None:
                partial.angle = piece
            else:
                partial.words.append(piece)
        self._finish(partial)
        self._end_group()

    def _is_full(self) -> bool:
        return self._addresses >= self.limit

    def _start_group(self, partial: _PartialAddress) -> None:
        """Take the words before the colon as the name of a group; at most `limit` groups."""
        name = _name(partial.words)
        partial.words.clear()
        if len(self.entries) - self._addresses >= 2 * self.limit:
            return
        self._add_group_end()
        self.entries.append(OutlineAddress(name.decoded, "", _differing(name), group="start"))
        self._in_group = True

    def _end_group(self) -> None:
        """Add the names that are not followed by an address, and the end of the group."""
        for name in self._names:
            self._append(name, "")
        self._names.clear()
        self._add_group_end()

    def _add_group_end(self) -> None:
        if self._in_group:
            self.entries.append(OutlineAddress("", "", group="end"))
            self._in_group = False

    def _finish(self, partial: _PartialAddress) -> None:
        """Add the parsed address. A name without an address is joined to the next name.

        Senders write `Doe, Jane <jane@example.org>` without quotes.
        """
        route = ""
        if partial.angle is not None:
            name = _name(partial.words)
            route, _, address = partial.angle.strip("<>").rpartition(":")
        else:
            name, address = _name_and_address(partial.words)
        name = name if name.decoded else _clean(" ".join(partial.comments))
        address = one_line(address, limit=ADDRESS_MAX_CHARS)
        if address:
            whole = _joined([*self._names, name]) if self._names else name
            self._names.clear()
            self._append(whole, address, route if route.startswith("@") else "")
        elif name.decoded:
            self._names.append(name)

    def _append(self, name: _Name, address: str, route: str = "") -> None:
        if self._is_full():
            return
        entry = OutlineAddress(name.decoded, address, _differing(name))
        if route:
            entry = replace(entry, route=one_line(route, limit=ADDRESS_MAX_CHARS))
        self.entries.append(entry)
        self._addresses += 1


def _add_comment(partial: _PartialAddress, piece: str) -> None:
    partial.depth += (piece == "(") - (piece == ")")
    if piece not in {"(", ")"}:
        partial.comments.append(_ESCAPED.sub(r"\1", piece))


def _name_and_address(words: list[str]) -> tuple[_Name, str]:
    """Split text without angle brackets into name and address; "": there is no address."""
    text = " ".join("".join(words).split()).replace(" @", "@").replace("@ ", "@")
    at = text.find("@")
    if at < 1:
        return _name(words), ""
    quoted_start = text.rfind('"', 0, at - 1) if text[at - 1] == '"' else -1
    # A colon ends a scheme (mailto:) or the name of a group without an end.
    after_separator = max(text.rfind(" ", 0, at), text.rfind(":", 0, at)) + 1
    start = quoted_start if quoted_start >= 0 else after_separator
    end = text.find(" ", at) % (len(text) + 1)  # not found: -1 becomes the length
    before = text[:start].rstrip().removesuffix(":").removesuffix("mailto")
    return _name([before, text[end:]]), text[start:end]


def _name(words: list[str]) -> _Name:
    return _clean("".join(_unquoted(word) for word in words))


def _clean(text: str) -> _Name:
    decoded = one_line(decode_words(text), limit=NAME_MAX_CHARS)
    return _Name(decoded, one_line(text, limit=SENT_NAME_MAX_CHARS) if "=?" in text else decoded)


def _joined(names: list[_Name]) -> _Name:
    decoded = ", ".join(name.decoded for name in names if name.decoded)
    sent = ", ".join(name.sent for name in names if name.decoded)
    return _Name(one_line(decoded, limit=NAME_MAX_CHARS), one_line(sent, limit=SENT_NAME_MAX_CHARS))


def _differing(name: _Name) -> str:
    return "" if name.sent == name.decoded else name.sent


def _unquoted(word: str) -> str:
    if len(word) > 1 and word.startswith('"') and word.endswith('"'):
        return _ESCAPED.sub(r"\1", word[1:-1])
    return word
