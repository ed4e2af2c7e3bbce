"""Parser of fields with parameters: Content-Type, Content-Disposition (RFC 2045 §5.1, RFC 2231).

Accepts any text and never raises: comments anywhere, parameters without `;` or quotes, plain and
encoded forms of one parameter, repeated parameters.
Limits: the first VALUE_MAX_CHARS of a value. Linear time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from mail.mime.charsets import codec_of, decode_text
from mail.mime.encoded_words import decode_words

VALUE_MAX_CHARS = 16 * 1024

# An escaped character is one piece everywhere, so that an unclosed quote is searched only once.
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+"|\\.|[();]|[^"\\();]+|.', re.DOTALL)
_NAME = re.compile(r"(?<!\S)([^\s=;\"]++)\s*+=\s*+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_FORM = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_TOKEN = re.compile(r"[\s\"]*([^\s\"=;,()]++)(?!\s*=)")
_ENDS_IN_COMMENT = re.compile(r"\S\.\w{1,5}\s{0,8}\([^()]{0,200}\)\s*+\Z")
# Unquoted, the value of these may contain text in parentheses that is not a comment.
_FILENAME_PARAMETERS = frozenset({"name", "filename"})


@dataclass(slots=True, frozen=True)
class ParameterizedField:
    """The leading token in lower case, and the parameters by lower-case name."""

    value: str
    parameters: Mapping[str, str]


@lru_cache(maxsize=64)  # few values are common, and fields with a boundary are parsed twice
def parse_parameterized_field(value: str) -> ParameterizedField:
    """Parse the first VALUE_MAX_CHARS of `value`."""
    token, pairs = split_parameters(value)
    forms: dict[str, _ParameterForms] = {}
    for name, text in pairs:
        form = _FORM.fullmatch(name)
        if form:
            forms.setdefault(form[1], _ParameterForms()).add(form[2], form[3], text)
    return ParameterizedField(
        token, {name: parameter.value(name) for name, parameter in forms.items()}
    )


def split_parameters(value: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the leading token, and the names and undecoded values of all parameters, in order.

    Token and names are in lower case. Pieces of one parameter (RFC 2231 §3) are not joined.
    """
    sections = _sections(value[:VALUE_MAX_CHARS])
    token = _TOKEN.match(sections[0].plain)
    sections[0].drop_start(token.end() if token else 0)
    pairs = [(name.lower(), text) for each in sections for name, text in _split_pairs(each)]
    return token[1].lower() if token else "", pairs


@dataclass(slots=True)
class _Section:
    """The text between two `;`: `plain` without comments, `full` with comments."""

    plain: str
    full: str

    def drop_start(self, chars: int) -> None:
        """Drop the first `chars` characters, and all comments: they are not part of a filename."""
        self.plain = self.full = self.plain[chars:]


def _sections(text: str) -> list[_Section]:
    pieces = _PIECE.findall(text)
    sections, depth = _split_sections(pieces, comments=True)
    # With an unclosed comment, parentheses are text.
    return _split_sections(pieces, comments=False)[0] if depth else sections


def _split_sections(pieces: list[str], *, comments: bool) -> tuple[list[_Section], int]:
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


def _split_pairs(section: _Section) -> list[tuple[str, str]]:
    """Return the names and undecoded values of a section; several where a `;` is missing."""
    text, pairs = section.plain, []
    name = _NAME.search(text)
    if (
        name
        and name[1].lower() in _FILENAME_PARAMETERS
        and not _ENDS_IN_COMMENT.search(section.full)
    ):
        text = section.full
        name = _NAME.search(text)
    while name:
        quoted = _QUOTED.match(text, name.end())
        following = _NAME.search(text, quoted.end() if quoted else name.end() + 1)
        raw = text[name.end() : following.start() if following else len(text)].strip()
        pairs.append((name[1], _unescape(quoted[1]) if quoted else raw.strip('"')))
        name = following
    return pairs


def _unescape(text: str) -> str:
    r"""Replace `\"` and `\\` only: other backslashes are part of Windows paths."""
    return _ESCAPED.sub(r"\1", text)


@dataclass(slots=True)
class _ParameterForms:
    """The values of one parameter, by form; the first value of each form counts."""

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
        """Return the value; continued and encoded forms win (RFC 2231 §3, RFC 6266 §4.3)."""
        if self.pieces and (0 in self.pieces or not (self.encoded or self.plain)):
            joined = _join_pieces([self.pieces[number] for number in sorted(self.pieces)])
            if joined:
                return joined
        if self.encoded:
            return _join_pieces([(True, self.encoded)])
        if name == "charset":
            return next(filter(codec_of, self.plain), self.plain[0] if self.plain else "")
        return decode_words(self.plain[0]) if self.plain else ""


def _join_pieces(pieces: list[tuple[bool, str]]) -> str:
    charset = ""
    octets: list[bytes] = []
    for number, (encoded, text) in enumerate(pieces):
        value = text
        if encoded and number == 0 and text.count("'") > 1:
            charset, _, value = text.split("'", 2)
        octets.append(unquote_to_bytes(value) if encoded else value.encode("utf-8", "replace"))
    return decode_words(decode_text(b"".join(octets), charset))
