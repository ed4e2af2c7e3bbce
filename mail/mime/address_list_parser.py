"""Parser of address lists in header fields (RFC 5322 §3.4, §4.4).

Accepts any text and never raises: quoted strings, comments, groups, obsolete routes, and encoded
words in the wrong places. Text without an address is kept as a name, so that users see it.
Limits: ADDRESSES_MAX addresses and ADDRESSES_MAX_BYTES of each field. One pass, linear time.
"""

import re
from dataclasses import dataclass, field

from mail.mime.encoded_words import decode_words, field_text
from mail.text_cleaning import fitting, one_line
from schemas.mail import EmailAddress

ADDRESSES_MAX = 100
ADDRESSES_MAX_BYTES = 8 * 1024  # of one field: every event of the mail carries these addresses
NAME_MAX_CHARS = 200
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
    addresses: list[EmailAddress] = []
    for value in values:
        _parse_value(addresses, field_text(value, fallback_charset), limit)
    return tuple(
        fitting(
            addresses[:limit],
            lambda address: address.name + address.address,
            max_bytes=ADDRESSES_MAX_BYTES,
        )
    )


@dataclass(slots=True)
class _PartialAddress:
    """The address that is being parsed."""

    words: list[str] = field(default_factory=list)  # undecoded
    comments: list[str] = field(default_factory=list)
    angle: str | None = None  # the text in angle brackets
    depth: int = 0  # of nested comments


def _parse_value(addresses: list[EmailAddress], text: str, limit: int) -> None:
    pieces = _PIECE.findall(text)
    last_group_end = max((index for index, piece in enumerate(pieces) if piece == ";"), default=-1)
    partial = _PartialAddress()
    names: list[str] = []  # names without an address, until the next address
    for index, piece in enumerate(pieces):
        if len(addresses) >= limit:
            return
        if partial.depth or piece == "(":
            _add_comment(partial, piece)
        elif piece in {",", ";"}:
            _finish(partial, addresses, names)
            partial = _PartialAddress()
            if piece == ";":
                _add_names(names, addresses)
        elif piece == ":" and partial.angle is None and index < last_group_end:
            partial.words.clear()  # the words were the name of a group
        elif piece.startswith("<") and partial.angle is None:
            partial.angle = piece
        else:
            partial.words.append(piece)
    _finish(partial, addresses, names)
    _add_names(names, addresses)


def _add_names(names: list[str], addresses: list[EmailAddress]) -> None:
    """Add the names that are not followed by an address."""
    addresses += [EmailAddress(name=name, address="") for name in names]
    names.clear()


def _add_comment(partial: _PartialAddress, piece: str) -> None:
    partial.depth += (piece == "(") - (piece == ")")
    if piece not in {"(", ")"}:
        partial.comments.append(_ESCAPED.sub(r"\1", piece))


def _finish(partial: _PartialAddress, addresses: list[EmailAddress], names: list[str]) -> None:
    """Add the parsed address. A name without an address is joined to the next name.

    Senders write `Doe, Jane <jane@example.org>` without quotes.
    """
    if partial.angle is not None:
        name, address = _name(partial.words), partial.angle.strip("<>").rpartition(":")[2]
    else:
        name, address = _name_and_address(partial.words)
    name = name or one_line(decode_words(" ".join(partial.comments)), limit=NAME_MAX_CHARS)
    address = one_line(address, limit=ADDRESS_MAX_CHARS)
    if address:
        whole = ", ".join(filter(None, [*names, name])) if names else name
        names.clear()
        addresses.append(EmailAddress(name=one_line(whole, limit=NAME_MAX_CHARS), address=address))
    elif name:
        names.append(name)


def _name_and_address(words: list[str]) -> tuple[str, str]:
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


def _name(words: list[str]) -> str:
    plain = "".join(_unquoted(word) for word in words)
    return one_line(decode_words(plain), limit=NAME_MAX_CHARS)


def _unquoted(word: str) -> str:
    if len(word) > 1 and word.startswith('"') and word.endswith('"'):
        return _ESCAPED.sub(r"\1", word[1:-1])
    return word
