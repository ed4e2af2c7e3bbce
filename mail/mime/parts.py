"""The parts of a mail (RFC 2045): what the header of each says; part_tree.py finds them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mail.mime.charsets import LABEL_MAX_CHARS
from mail.mime.encoded_words import field_text
from mail.mime.header_fields import Header
from mail.mime.parameters import VALUE_MAX_CHARS, ParameterizedField, read_parametrised
from mail.text_cleaning import one_line

DEPTH_MAX = 100
PARTS_MAX = 1_000
FILENAME_MAX_CHARS = 255
TYPE_MAX_CHARS = 127
PATH_MAX_CHARS = 1024
BOUNDARY_MAX_CHARS = 200  # RFC 2046 §5.1.1 says 70
_TYPE = re.compile(r"[!#-'*+.^-~0-9a-z-]{1,126}/[!#-'*+.^-~0-9a-z-]{1,126}")


@dataclass(slots=True, kw_only=True)
class MimePart:
    """A leaf with its decoded octets on demand, or a multipart with children."""

    content_type: str  # type/subtype, lower case
    boundary: str = ""
    charset: str = ""  # as the part's header says
    beside: str = ""  # of the page or of the mail, where the header says none
    filename: str = ""
    content_id: str = ""
    attached: bool = False  # Content-Disposition: attachment (RFC 2183)
    flowed: bool = False  # format=flowed (RFC 3676)
    delete_space: bool = False  # with DelSp=yes
    decode: Callable[[], bytes] = bytes
    children: list["MimePart"] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        return self.content_type.startswith("multipart/")


@dataclass(slots=True)
class PartTree:
    """The root; `complete` is False when the limits cut something off."""

    root: MimePart
    complete: bool = True
    parts: int = 0
    charset: str = ""  # of its own text, for octets that say none and are no UTF-8

    def admits_more(self, depth: int) -> bool:
        """Count one more part at `depth`; False, and incomplete, beyond the limits."""
        self.parts += 1
        if depth > DEPTH_MAX or self.parts > PARTS_MAX:
            self.complete = False
        return self.complete


def describe(header: Header, *, in_digest: bool) -> MimePart:
    """A part by its header; what that lacks or gets wrong has RFC 2045 §5.2's defaults."""
    typed = read_parametrised(_value(header, "content-type"))
    kind = typed.value or ("message/rfc822" if in_digest else "text/plain")
    disposition = read_parametrised(_value(header, "content-disposition"))
    boundary = typed.parameters.get("boundary", "").rstrip()
    return MimePart(
        content_type=kind if _TYPE.fullmatch(kind) else "text/plain",
        boundary=boundary if len(boundary) <= BOUNDARY_MAX_CHARS else "",
        charset=typed.parameters.get("charset", "")[:LABEL_MAX_CHARS],
        filename=_filename(disposition, typed),
        content_id=one_line(_value(header, "content-id"), limit=TYPE_MAX_CHARS).strip("<>"),
        attached=disposition.value == "attachment",
        flowed=typed.parameters.get("format", "").lower() == "flowed",
        delete_space=typed.parameters.get("delsp", "").lower() == "yes",
    )


def filename_by(header: Header, charset: str) -> str:
    """The name that `describe` gives, by the mail's own charset where the header's is unknown."""
    disposition = read_parametrised(_value(header, "content-disposition", charset))
    return _filename(disposition, read_parametrised(_value(header, "content-type", charset)))


def _filename(disposition: ParameterizedField, typed: ParameterizedField) -> str:
    """The last part of the path that the header names (RFC 2183 §2.3); "" when it names none."""
    path = disposition.parameters.get("filename") or typed.parameters.get("name", "")
    if not path:
        return ""
    path = one_line(path, limit=PATH_MAX_CHARS)
    last = path.replace("\\", "/").rpartition("/")[2]
    return (last or path)[:FILENAME_MAX_CHARS]


def encoding_of(header: Header) -> str:
    """The name of the Content-Transfer-Encoding, lower case (RFC 2045 §6.1)."""
    return read_parametrised(_value(header, "content-transfer-encoding")).value


def _value(header: Header, name: str, charset: str = "") -> str:
    values = header.all(name)
    return field_text(values[0][:VALUE_MAX_CHARS], charset) if values else ""
