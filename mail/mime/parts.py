"""A MIME part and the part tree; parser of a part's own header fields (RFC 2045 §5, RFC 2183).

Never raises: missing and malformed fields have the defaults of RFC 2045 §5.2. The constants limit
each value. part_tree.py finds the parts.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mail.mime.charsets import LABEL_MAX_CHARS
from mail.mime.encoded_words import field_text
from mail.mime.header_fields import Header
from mail.mime.parameters import VALUE_MAX_CHARS, ParameterizedField, parse_parameterized_field
from mail.text_cleaning import one_line

DEPTH_MAX = 100
PARTS_MAX = 1_000
FILENAME_MAX_CHARS = 255
TYPE_MAX_CHARS = 127
PATH_MAX_CHARS = 1024
BOUNDARY_MAX_CHARS = 200  # RFC 2046 §5.1.1 allows 70
_TYPE = re.compile(r"[!#-'*+.^-~0-9a-z-]{1,126}/[!#-'*+.^-~0-9a-z-]{1,126}")


@dataclass(slots=True, kw_only=True)
class MimePart:
    """A leaf, whose octets `decode` returns, or a multipart with children."""

    content_type: str  # type/subtype, lower case
    boundary: str = ""
    charset: str = ""  # in the header of the part
    fallback_charset: str = ""  # of the HTML page or of the mail, if the header has no charset
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
    """The tree of the parts of a mail. Not `complete`: parts beyond the limits are missing."""

    root: MimePart
    complete: bool = True
    parts: int = 0
    charset: str = ""  # of the mail's text, for other octets without a charset that are not UTF-8

    def admits_more(self, depth: int) -> bool:
        """Count one more part at `depth`. False: a limit is exceeded, and the tree incomplete."""
        self.parts += 1
        if depth > DEPTH_MAX or self.parts > PARTS_MAX:
            self.complete = False
        return self.complete


def part_of(header: Header, *, in_digest: bool) -> MimePart:
    """Return the part that `header` describes, with the defaults of RFC 2045 §5.2."""
    typed = parse_parameterized_field(_field_value(header, "content-type"))
    kind = typed.value or ("message/rfc822" if in_digest else "text/plain")
    disposition = parse_parameterized_field(_field_value(header, "content-disposition"))
    boundary = typed.parameters.get("boundary", "").rstrip()
    return MimePart(
        content_type=kind if _TYPE.fullmatch(kind) else "text/plain",
        boundary=boundary if len(boundary) <= BOUNDARY_MAX_CHARS else "",
        charset=typed.parameters.get("charset", "")[:LABEL_MAX_CHARS],
        filename=_filename(disposition, typed),
        content_id=one_line(_field_value(header, "content-id"), limit=TYPE_MAX_CHARS).strip("<>"),
        attached=disposition.value == "attachment",
        flowed=typed.parameters.get("format", "").lower() == "flowed",
        delete_space=typed.parameters.get("delsp", "").lower() == "yes",
    )


def filename_in(header: Header, charset: str) -> str:
    """Return the filename in `header`; octets without a declared charset are in `charset`."""
    disposition = parse_parameterized_field(_field_value(header, "content-disposition", charset))
    return _filename(
        disposition, parse_parameterized_field(_field_value(header, "content-type", charset))
    )


def _filename(disposition: ParameterizedField, typed: ParameterizedField) -> str:
    """Return the last part of the path in the header (RFC 2183 §2.3); "": there is no name."""
    path = disposition.parameters.get("filename") or typed.parameters.get("name", "")
    if not path:
        return ""
    path = one_line(path, limit=PATH_MAX_CHARS)
    last = path.replace("\\", "/").rpartition("/")[2]
    return (last or path)[:FILENAME_MAX_CHARS]


def encoding_of(header: Header) -> str:
    """Return the Content-Transfer-Encoding in lower case (RFC 2045 §6.1)."""
    return parse_parameterized_field(_field_value(header, "content-transfer-encoding")).value


def _field_value(header: Header, name: str, charset: str = "") -> str:
    values = header.all(name)
    return field_text(values[0][:VALUE_MAX_CHARS], charset) if values else ""
