"""Address lists of a header (RFC 5322 §3.4, §4.4), well formed or not.

One pass, linear in the length: quoted strings, comments, groups, obsolete routes, encoded words in
the wrong places. What holds no address keeps its words as a name, so that a reader sees them.
"""

import re
from dataclasses import dataclass, field

from mail.mime.encoded_words import decode_words, field_text
from mail.text_cleaning import fitting, one_line
from schemas.mail import EmailAddress

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


def read_mailboxes(
    values: list[bytes], *, limit: int = MAILBOXES_KEPT, beside: str = ""
) -> tuple[EmailAddress, ...]:
    """The mailboxes of the values of one field, in their order, at most `limit` and KEPT_BYTES.

    `beside`: the mail's charset, for names in undeclared octets.
    """
    found: list[EmailAddress] = []
    for value in values:
        _read_into(found, field_text(value, beside), limit)
    return tuple(fitting(found[:limit], lambda one: one.name + one.address, max_bytes=KEPT_BYTES))


@dataclass(slots=True)
class _Open:
    """The mailbox that is being read."""

    words: list[str] = field(default_factory=list)  # as written
    comments: list[str] = field(default_factory=list)
    angle: str | None = None
    depth: int = 0  # of comments


def _read_into(found: list[EmailAddress], text: str, limit: int) -> None:
    pieces = _PIECE.findall(text)
    groups_end = max((at for at, piece in enumerate(pieces) if piece == ";"), default=-1)
    one = _Open()
    names: list[str] = []  # pieces without an address, until the next address
    for at, piece in enumerate(pieces):
        if len(found) >= limit:
            return
        if one.depth or piece == "(":
            _read_comment(one, piece)
        elif piece in {",", ";"}:
            _close(one, found, names)
            one = _Open()
            if piece == ";":
                _keep(names, found)
        elif piece == ":" and one.angle is None and at < groups_end:
            one.words.clear()  # what came before was the name of a group
        elif piece.startswith("<") and one.angle is None:
            one.angle = piece
        else:
            one.words.append(piece)
    _close(one, found, names)
    _keep(names, found)


def _keep(names: list[str], found: list[EmailAddress]) -> None:
    """Names behind which no address came."""
    found += [EmailAddress(name=name, address="") for name in names]
    names.clear()


def _read_comment(at: _Open, piece: str) -> None:
    at.depth += (piece == "(") - (piece == ")")
    if piece not in {"(", ")"}:
        at.comments.append(_ESCAPED.sub(r"\1", piece))


def _close(at: _Open, found: list[EmailAddress], names: list[str]) -> None:
    """Add what was read. A name before a comma that has no address begins the next one's."""
    if at.angle is not None:
        name, address = _name(at.words), at.angle.strip("<>").rpartition(":")[2]
    else:
        name, address = _bare(at.words)
    name = name or one_line(decode_words(" ".join(at.comments)), limit=NAME_MAX_CHARS)
    address = one_line(address, limit=ADDRESS_MAX_CHARS)
    if address:
        whole = ", ".join(filter(None, [*names, name])) if names else name
        names.clear()
        found.append(EmailAddress(name=one_line(whole, limit=NAME_MAX_CHARS), address=address))
    elif name:
        names.append(name)


def _bare(words: list[str]) -> tuple[str, str]:
    """Name and address where no angle brackets tell them apart."""
    text = " ".join("".join(words).split()).replace(" @", "@").replace("@ ", "@")
    at = text.find("@")
    if at < 1:
        return _name(words), ""
    quoted_start = text.rfind('"', 0, at - 1) if text[at - 1] == '"' else -1
    # A colon ends a scheme (mailto:), or the name of a group that has no end.
    behind = max(text.rfind(" ", 0, at), text.rfind(":", 0, at)) + 1
    start = quoted_start if quoted_start >= 0 else behind
    end = text.find(" ", at) % (len(text) + 1)  # -1, none, becomes the length
    before = text[:start].rstrip().removesuffix(":").removesuffix("mailto")
    return _name([before, text[end:]]), text[start:end]


def _name(words: list[str]) -> str:
    plain = "".join(_unquoted(word) for word in words)
    return one_line(decode_words(plain), limit=NAME_MAX_CHARS)


def _unquoted(word: str) -> str:
    if len(word) > 1 and word.startswith('"') and word.endswith('"'):
        return _ESCAPED.sub(r"\1", word[1:-1])
    return word
