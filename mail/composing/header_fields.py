"""Writer of header fields: folding (RFC 5322 §2.2.3), encoded words (RFC 2047), parameters.

A field is written from tokens that contain no line end; folding puts CR LF and a space between two
tokens only. So no value can end its field. Lines have at most LINE_MAX octets where tokens allow
it, and 998 in any case, as callers limit their tokens to TOKEN_MAX_BYTES.
"""

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from mail.addresses import normal_domain, split_address
from mail.composing.address_input import CONTROL
from schemas.mail import EmailAddress

LINE_MAX = 76  # RFC 2047 §2 for lines with encoded words; RFC 5322 §2.1.1 recommends 78
TOKEN_MAX_BYTES = 900
_WORD_START = "=?utf-8?q?"
_WORD_MAX = 65  # leaves room for a short field name; RFC 2047 §2 allows 75
_WORD_CONTENT_MAX = _WORD_MAX - len(_WORD_START) - len("?=")
_Q_LITERAL = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_SPECIAL = re.compile(r'(["\\])')
_PIECE_CHARS = 50  # of a parameter's value on one line
_PLAIN_VALUE = re.compile(rf"[A-Za-z0-9 !#$&+,.=@^_`{{}}~()\[\]-]{{1,{_PIECE_CHARS}}}")
_ENCODED_OCTET = re.compile(r"%[0-9A-F]{2}|.")


def folded(name: str, tokens: Iterable[str]) -> bytes:
    """Return the field `name` with `tokens` separated by spaces or folds, and its CR LF.

    Raises ValueError: a token has a line end or is too long; callers have checked their values.
    """
    lines = [f"{name}:"]
    length = len(lines[0])
    for position, token in enumerate(tokens):
        size = len(token.encode())
        if CONTROL.search(token) or size > TOKEN_MAX_BYTES:
            msg = f"a token of {name} cannot be written"
            raise ValueError(msg)
        is_foldable = position or token.startswith(
            "=?"
        )  # some readers take an empty first line ill
        if length + 1 + size > LINE_MAX and is_foldable:
            lines.append("")
            length = 0
        lines[-1] += f" {token}"
        length += 1 + size
    return "\r\n".join(lines).encode() + b"\r\n"


def text_field(name: str, text: str) -> bytes:
    """Return an unstructured field (RFC 5322 §3.2.5), in encoded words if ASCII does not do."""
    return folded(name, _text_tokens(text))


def address_field(name: str, addresses: Sequence[EmailAddress]) -> bytes:
    """Return a field of mailboxes (RFC 5322 §3.6.3)."""
    tokens: list[str] = []
    for position, address in enumerate(addresses, start=1):
        comma = "," if position < len(addresses) else ""
        spec = written_address(address.address)
        bare = not address.name and not spec.startswith('"')  # bare quoted strings confuse readers
        tokens += [spec + comma] if bare else [*_phrase(address.name), f"<{spec}>{comma}"]
    return folded(name, tokens)


def ids_field(name: str, ids: Iterable[str]) -> bytes:
    """Return a field of message ids (RFC 5322 §3.6.4)."""
    return folded(name, (f"<{id_}>" for id_ in ids))


def parameterized_field(name: str, value: str, parameters: Iterable[tuple[str, str]]) -> bytes:
    """Return a field with parameters; long and non-ASCII values are written by RFC 2231."""
    *tokens, last = [value, *(piece for key, text in parameters for piece in _parameter(key, text))]
    return folded(name, [*(f"{token};" for token in tokens), last])


def written_address(address: str) -> str:
    """Return the addr-spec as headers have it: the local part as given, the domain in A-labels."""
    local, domain = split_address(address)
    return f"{local}@{normal_domain(domain)}"


def encoded_words(text: str) -> list[str]:
    """Return `text` as encoded words in UTF-8, each of whole characters (RFC 2047 §5).

    The shorter of Q and B encoding.
    """
    octets = text.encode()
    q_chars = sum(_q_chars(octet) for octet in octets)
    if q_chars <= 4 * len(octets) // 3:
        return [
            f"{_WORD_START}{''.join(map(_q, chunk.encode()))}?="
            for chunk in _chunks(text, _WORD_CONTENT_MAX, lambda octets: sum(map(_q_chars, octets)))
        ]
    room = _WORD_CONTENT_MAX // 4 * 3
    chunks = _chunks(text, room, len)
    return [f"=?utf-8?b?{base64.b64encode(chunk.encode()).decode()}?=" for chunk in chunks]


def _text_tokens(text: str) -> list[str]:
    words = text.split()
    if text.isascii() and "=?" not in text and all(len(word) < TOKEN_MAX_BYTES for word in words):
        return words
    return encoded_words(" ".join(words))


def _phrase(name: str) -> list[str]:
    """Return the tokens of a display name (RFC 5322 §3.2.5): atoms, quoted string or encoded."""
    if not name:
        return []
    if not name.isascii() or "=?" in name:
        return encoded_words(name)
    if _ATOMS.fullmatch(name):
        return name.split()
    return ['"' + _SPECIAL.sub(r"\\\1", name) + '"']


def _chunks(text: str, room: int, size_of: Callable[[bytes], int]) -> list[str]:
    """Cut `text` into pieces whose octets take at most `room` by `size_of`."""
    chunks, start, used = [], 0, 0
    for position, character in enumerate(text):
        size = size_of(character.encode())
        if used + size > room:
            chunks.append(text[start:position])
            start, used = position, 0
        used += size
    return [*chunks, text[start:]]


def _q_chars(octet: int) -> int:
    return 1 if octet in _Q_LITERAL or octet == 0x20 else 3


def _q(octet: int) -> str:
    """Return an octet in the Q encoding that phrases allow (RFC 2047 §5, rule 3)."""
    if octet == 0x20:
        return "_"
    return chr(octet) if octet in _Q_LITERAL else f"={octet:02X}"


def _parameter(name: str, value: str) -> list[str]:
    """Return a parameter: quoted if short ASCII, else encoded in numbered pieces (RFC 2231)."""
    if _PLAIN_VALUE.fullmatch(value) and "=?" not in value:
        return [f'{name}="{value}"']
    units = _ENCODED_OCTET.findall(quote(value, safe=""))
    pieces, used = [""], 0
    for unit in units:
        if used + len(unit) > _PIECE_CHARS:
            pieces.append("")
            used = 0
        pieces[-1] += unit
        used += len(unit)
    if len(pieces) == 1:
        return [f"{name}*=utf-8''{pieces[0]}"]
    first = f"{name}*0*=utf-8''{pieces[0]}"
    return [first, *(f"{name}*{number}*={piece}" for number, piece in enumerate(pieces[1:], 1))]
