"""The parts of a mail (RFC 2045): what the header of each says. mail/mime_walk.py finds them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from mail.charsets import decode_text, guess_text
from mail.clean import one_line
from mail.headers import Header, decode_words

DEPTH_MAX = 100
PARTS_MAX = 1_000
FILENAME_MAX_CHARS = 255
TYPE_MAX_CHARS = 127
PARAMETERS_MAX_CHARS = 16 * 1024
BOUNDARY_MAX_CHARS = 200  # RFC 2046 §5.1.1 says 70
_PARAMETER = re.compile(r';\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_CONTINUED = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_TYPE = re.compile(r"[!#-'*+.^-~0-9A-Z-]+/[!#-'*+.^-~0-9A-Z-]+")


@dataclass(slots=True, kw_only=True)
class Part:
    """A leaf with its decoded octets on demand, or a multipart with children."""

    content_type: str  # type/subtype, lower case
    charset: str = ""
    filename: str = ""
    content_id: str = ""
    attached: bool = False  # Content-Disposition: attachment (RFC 2183)
    flowed: bool = False  # format=flowed (RFC 3676)
    delete_space: bool = False  # with DelSp=yes
    decode: Callable[[], bytes] = bytes
    children: list["Part"] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        return self.content_type.startswith("multipart/")


@dataclass(slots=True)
class Tree:
    """The root; `complete` is False when the limits cut something off."""

    root: Part
    complete: bool = True
    parts: int = 0

    def admits_more(self, depth: int) -> bool:
        """Count one more part at `depth`; False, and incomplete, beyond the limits."""
        self.parts += 1
        if depth > DEPTH_MAX or self.parts > PARTS_MAX:
            self.complete = False
        return self.complete


def describe(header: Header, *, in_digest: bool, decode: Callable[[], bytes]) -> Part:
    """A part by its header; what that lacks or gets wrong has RFC 2045 §5.2's defaults."""
    content_type = _value(header, "content-type") or ("message/rfc822" if in_digest else "")
    disposition = _value(header, "content-disposition")
    kind = content_type.partition(";")[0].strip().lower()[:TYPE_MAX_CHARS]
    typed = parameters(content_type)
    name = parameters(disposition).get("filename") or typed.get("name", "")
    return Part(
        content_type=kind if _TYPE.fullmatch(kind.upper()) else "text/plain",
        charset=typed.get("charset", ""),
        filename=one_line(name, limit=FILENAME_MAX_CHARS),
        content_id=one_line(_value(header, "content-id"), limit=TYPE_MAX_CHARS).strip("<>"),
        attached=disposition.partition(";")[0].strip().lower() == "attachment",
        flowed=typed.get("format", "").lower() == "flowed",
        delete_space=typed.get("delsp", "").lower() == "yes",
        decode=decode,
    )


def boundary_of(header: Header) -> str:
    """The boundary of a multipart; "" when it has none, or one beyond BOUNDARY_MAX_CHARS."""
    boundary = parameters(_value(header, "content-type")).get("boundary", "").rstrip()
    return boundary if len(boundary) <= BOUNDARY_MAX_CHARS else ""


def encoding_of(header: Header) -> str:
    """The name of the Content-Transfer-Encoding, lower case (RFC 2045 §6.1)."""
    return _value(header, "content-transfer-encoding").partition(";")[0].strip().lower()


def _value(header: Header, name: str) -> str:
    values = header.all(name)
    return guess_text(values[0][:PARAMETERS_MAX_CHARS]) if values else ""


def parameters(value: str) -> Mapping[str, str]:
    """Parameters by lower-case name, continued and encoded ones put together (RFC 2231)."""
    return _parameters(value[:PARAMETERS_MAX_CHARS]) if ";" in value else {}


@lru_cache(maxsize=64)  # most parts say one of a few things, and a boundary is asked for twice
def _parameters(value: str) -> Mapping[str, str]:
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for written, raw in _PARAMETER.findall(value):
        matched = _CONTINUED.fullmatch(written)
        if matched:
            order, encoded = int(matched[2] or 0), bool(matched[3])
            pieces.setdefault(matched[1].lower(), []).append((order, encoded, _unquoted(raw)))
    return {name: _joined(sorted(found)) for name, found in pieces.items()}


def _joined(pieces: Iterable[tuple[int, bool, str]]) -> str:
    octets, charset = b"", None
    for _, encoded, text in pieces:
        value = text
        if encoded and charset is None:
            charset, _, rest = text.partition("'")
            value = rest.partition("'")[2] if "'" in rest else text
        octets += unquote_to_bytes(value) if encoded else _octets(value)
    return decode_words(guess_text(octets) if charset is None else decode_text(octets, charset))


def _octets(text: str) -> bytes:
    """Undeclared 8-bit was read as Latin-1 by the parser: its octets can be had again."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _unquoted(raw: str) -> str:
    value = raw.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value.strip('"')
