"""Fields of a token and parameters: Content-Type, Content-Disposition (RFC 2045 §5.1, RFC 2231).

Read as senders write them: comments anywhere, parameters without `;` or quotes, both the plain and
the encoded form of one name, a name twice. Linear in the length of the value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from mail.mime.charsets import codec_of, decode_text
from mail.mime.encoded_words import decode_words

VALUE_MAX_CHARS = 16 * 1024

# An escaped character is one piece everywhere, so that a quote without an end is looked for once.
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+"|\\.|[();]|[^"\\();]+|.', re.DOTALL)
_NAME = re.compile(r"(?<!\S)([^\s=;\"]++)\s*+=\s*+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_FORM = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_TOKEN = re.compile(r"[\s\"]*([^\s\"=;,()]++)(?!\s*=)")
_ENDS_IN_COMMENT = re.compile(r"\S\.\w{1,5}\s{0,8}\([^()]{0,200}\)\s*+\Z")
_OF_FILES = frozenset({"name", "filename"})  # unquoted they may hold what looks like a comment


@dataclass(slots=True, frozen=True)
class ParameterizedField:
    """The leading token, in lower case, and the parameters by their lower-case names."""

    value: str
    parameters: Mapping[str, str]


@lru_cache(maxsize=64)  # most parts say one of a few things, and a boundary is asked for twice
def read_parametrised(value: str) -> ParameterizedField:
    """The first VALUE_MAX_CHARS of `value`."""
    sections = _sections(value[:VALUE_MAX_CHARS])
    found = _TOKEN.match(sections[0].plain)
    sections[0].drop(found.end() if found else 0)
    forms: dict[str, _Forms] = {}
    for section in sections:
        for name, text in _pairs(section):
            matched = _FORM.fullmatch(name.lower())
            if matched:
                forms.setdefault(matched[1], _Forms()).add(matched[2], matched[3], text)
    value = found[1].lower() if found else ""
    return ParameterizedField(value, {name: each.value(name) for name, each in forms.items()})


@dataclass(slots=True)
class _Section:
    """What stands between two `;`, without and with its comments."""

    plain: str
    full: str

    def drop(self, chars: int) -> None:
        """Leave out the beginning; the comments behind it are no file's name."""
        self.plain = self.full = self.plain[chars:]


def _sections(text: str) -> list[_Section]:
    pieces = _PIECE.findall(text)
    sections, depth = _split(pieces, comments=True)
    # Where a comment has no end, parentheses are text.
    return _split(pieces, comments=False)[0] if depth else sections


def _split(pieces: list[str], *, comments: bool) -> tuple[list[_Section], int]:
    depth = 0
    sections: list[_Section] = []
    plain: list[str] = []
    full: list[str] = []
    for piece in pieces:
        if piece == ";" and not depth:
            sections.append(_Section("".join(plain), "".join(full)))
            plain, full = [], []
            continue
        full.append(piece)
        depth += comments and piece == "("
        if not depth:
            plain.append(piece)
        elif piece == ")":
            depth -= 1
            plain.append(" ")
    return [*sections, _Section("".join(plain), "".join(full))], depth


def _pairs(section: _Section) -> list[tuple[str, str]]:
    """Names and values as written, one behind the other where `;` is missing."""
    text, found = section.plain, []
    name = _NAME.search(text)
    if name and name[1].lower() in _OF_FILES and not _ENDS_IN_COMMENT.search(section.full):
        text = section.full
        name = _NAME.search(text)
    while name:
        quoted = _QUOTED.match(text, name.end())
        following = _NAME.search(text, quoted.end() if quoted else name.end() + 1)
        raw = text[name.end() : following.start() if following else len(text)].strip()
        found.append((name[1], _unescaped(quoted[1]) if quoted else raw.strip('"')))
        name = following
    return found


def _unescaped(text: str) -> str:
    r"""Only `\"` and `\\` are escapes: others are paths of Windows."""
    return _ESCAPED.sub(r"\1", text)


@dataclass(slots=True)
class _Forms:
    """The forms in which one parameter was written; of each the first counts."""

    plain: list[str] = field(default_factory=list)
    encoded: str | None = None
    pieces: dict[int, tuple[bool, str]] = field(default_factory=dict)

    def add(self, number: str | None, star: str | None, text: str) -> None:
        if number is not None:
            self.pieces.setdefault(int(number), (bool(star), text))
        elif not star:
            self.plain.append(text)
        elif self.encoded is None:
            self.encoded = text

    def value(self, name: str) -> str:
        """RFC 2231 §3, RFC 6266 §4.3: continued and encoded forms win over the plain one."""
        if self.pieces and (0 in self.pieces or not (self.encoded or self.plain)):
            joined = _joined([self.pieces[number] for number in sorted(self.pieces)])
            if joined:
                return joined
        if self.encoded:
            return _joined([(True, self.encoded)])
        if name == "charset":
            return next(filter(codec_of, self.plain), self.plain[0] if self.plain else "")
        return decode_words(self.plain[0]) if self.plain else ""


def _joined(pieces: list[tuple[bool, str]]) -> str:
    charset = ""
    octets: list[bytes] = []
    for number, (encoded, text) in enumerate(pieces):
        value = text
        if encoded and number == 0 and text.count("'") > 1:
            charset, _, value = text.split("'", 2)
        octets.append(unquote_to_bytes(value) if encoded else value.encode("utf-8", "replace"))
    return decode_words(decode_text(b"".join(octets), charset))
