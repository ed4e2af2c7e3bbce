"""Address lists of a header (RFC 5322 §3.4, §4.4), well formed or not.

One pass, linear in the length: quoted strings, comments, groups, obsolete routes, encoded words in
the wrong places. What holds no address keeps its words as a name, so that a reader sees them.
"""

import re
from dataclasses import dataclass, field

from mail.charsets import guess_text
from mail.clean import fitting, one_line
from mail.headers import VALUE_MAX_CHARS, decode_words
from schemas.mail import Mailbox

MAILBOXES_KEPT = 100
KEPT_BYTES = 8 * 1024  # of one field: what is kept travels with the mail to each of its owners
NAME_MAX_CHARS = 200
ADDRESS_MAX_CHARS = 254

_QUOTED = r'"(?:[^"\\]|\\.)*"'
# An escaped character is one token everywhere, so that a quote without an end is looked for once.
_PIECE = re.compile(
    rf'{_QUOTED}|<(?:{_QUOTED}|\\.|[^<>"\\])*>?|\\.|[(),:;]|[^"<(),:;\\]+|.', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def read_mailboxes(values: list[bytes], *, limit: int = MAILBOXES_KEPT) -> tuple[Mailbox, ...]:
    """The mailboxes of the values of one field, in their order, at most `limit` and KEPT_BYTES."""
    found: list[Mailbox] = []
    for value in values:
        _read_into(found, guess_text(value[:VALUE_MAX_CHARS]), limit)
    return tuple(fitting(found[:limit], lambda one: one.name + one.address, max_bytes=KEPT_BYTES))


@dataclass(slots=True)
class _Open:
    """The mailbox that is being read."""

    words: list[str] = field(default_factory=list)  # as written
    comments: list[str] = field(default_factory=list)
    angle: str | None = None
    depth: int = 0  # of comments


def _read_into(found: list[Mailbox], text: str, limit: int) -> None:
    at = _Open()
    for piece in _PIECE.findall(text):
        if len(found) >= limit:
            return
        if at.depth or piece == "(":
            _read_comment(at, piece)
        elif piece in {",", ";"}:
            _close(at, found)
            at = _Open()
        elif piece == ":" and at.angle is None:
            at.words.clear()  # what came before was the name of a group
        elif piece.startswith("<") and at.angle is None:
            at.angle = piece
        else:
            at.words.append(piece)
    _close(at, found)


def _read_comment(at: _Open, piece: str) -> None:
    at.depth += (piece == "(") - (piece == ")")
    if piece not in {"(", ")"}:
        at.comments.append(_ESCAPED.sub(r"\1", piece))


def _close(at: _Open, found: list[Mailbox]) -> None:
    if at.angle is not None:
        name, address = _name(at.words), at.angle.strip("<>").rpartition(":")[2]
    else:
        name, address = _bare(at.words)
    name = name or one_line(decode_words(" ".join(at.comments)), limit=NAME_MAX_CHARS)
    address = one_line(address, limit=ADDRESS_MAX_CHARS)
    if name or address:
        found.append(Mailbox(name=name, address=address))


def _bare(words: list[str]) -> tuple[str, str]:
    """Name and address where no angle brackets tell them apart."""
    text = " ".join("".join(words).split()).replace(" @", "@").replace("@ ", "@")
    at = text.find("@")
    if at < 1:
        return _name(words), ""
    quoted_start = text.rfind('"', 0, at - 1) if text[at - 1] == '"' else -1
    start = quoted_start if quoted_start >= 0 else text.rfind(" ", 0, at) + 1
    end = text.find(" ", at) % (len(text) + 1)  # -1, none, becomes the length
    return _name([text[:start], text[end:]]), text[start:end]


def _name(words: list[str]) -> str:
    plain = "".join(_unquoted(word) for word in words)
    return one_line(decode_words(plain), limit=NAME_MAX_CHARS)


def _unquoted(word: str) -> str:
    if len(word) > 1 and word.startswith('"') and word.endswith('"'):
        return _ESCAPED.sub(r"\1", word[1:-1])
    return word
