"""Outline of a mail from its octets, without recursion and without decoding of bodies.

Accepts any octets and never raises. An attached mail that is encoded, and a multipart whose
delimiters are encoded (RFC 2045 §6.4 forbids both), have no children: offsets into the content
cannot reach them. A multipart with readable delimiters has children, with any declared encoding.
Limits: those of the part tree (mail/mime/part_tree.py), with the parts of attached mails counted;
OUTLINE_MAX_BYTES of the encoded outline. Beyond a limit the outline is not `complete`. Linear time:
each header is parsed once, and line feeds are counted in one pass.
"""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from mail.mime.delimiters import DelimiterSearch
from mail.mime.header_fields import Header, read_header
from mail.mime.outline.envelope import envelope_of, needs_charset
from mail.mime.outline.part_values import PartValues
from mail.mime.outline.sections import ATTACHED_MAILS
from mail.mime.part_tree import PART_FIELDS_MAX, walk_tree
from mail.mime.parts import DEPTH_MAX, PARTS_MAX, MimePart, encoding_of, filename_in, part_of
from mail.mime.transfer_encoding import is_encoded
from schemas.outline import MailOutline, OutlinePart

OUTLINE_MAX_BYTES = 256 * 1024
ENCODING_MAX_CHARS = 64
_FRAME_BYTES = 32  # of the outline around its parts

log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode


def outline_of(content: bytes, *, raw: bool = False, header: Header | None = None) -> MailOutline:
    """Return the outline of a mail. `raw`: of the mail without its MIME structure.

    `header`: the header of the mail, if already parsed.
    """
    header = header or read_header(content)
    if not raw:
        try:
            return _Builder(content, header).outline()
        except Exception as error:  # noqa: BLE001  # a malformed mail must not fail its callers
            log.warning("a mail has an outline without parts: %s", type(error).__name__)
    return _Builder(content, header, raw=True).outline()


def bare_outline(size_bytes: int) -> MailOutline:
    """Return the outline of a mail that cannot be parsed at all: one body without a header."""
    return MailOutline(size_bytes, (OutlinePart(-1, 0, 0, size_bytes, 0, "text/plain"),), False)


@dataclass(slots=True)
class _PartSpan:
    """A part of the mail: its header, and the span of its body."""

    parent: int
    depth: int
    header: Header
    part: MimePart
    header_start: int
    start: int
    stop: int
    encoding: str
    is_mail: bool  # the mail itself, or the content of an attached mail


class _Builder:
    """The walk over one mail, with its limits. `raw`: the mail is a single text."""

    def __init__(self, content: bytes, header: Header, *, raw: bool = False) -> None:
        self._content = content
        self._header = header
        self._raw = raw
        self._search = DelimiterSearch(len(content))
        self._complete = not raw
        self._headers_complete = True
        self._charset: str | None = None

    def outline(self) -> MailOutline:
        """Return the outline."""
        spans = self._walk()
        lines = _count_lines(self._content, spans)
        parts: list[OutlinePart] = []
        left_bytes = OUTLINE_MAX_BYTES - _FRAME_BYTES
        for span, count in zip(spans, lines, strict=True):
            part = self._part(span, count)
            left_bytes -= len(_encode(part))
            if left_bytes < 0 and parts:
                self._complete = False
                break
            parts.append(part)
        complete = self._complete and self._headers_complete and not self._search.exhausted
        return MailOutline(len(self._content), _with_leaves_as_text(parts), complete)

    def _walk(self) -> list[_PartSpan]:
        """Return the parts, breadth first."""
        root = self._read_part(-1, 1, 0, len(self._content))
        spans, queue = [root], deque([] if self._raw else [0])
        while queue and self._complete:
            index = queue.popleft()
            for child in self._children(index, spans[index]):
                if child.depth > DEPTH_MAX + 1 or len(spans) > PARTS_MAX:
                    self._complete = False
                    break
                queue.append(len(spans))
                spans.append(child)
        return spans

    def _children(self, index: int, span: _PartSpan) -> Iterator[_PartSpan]:
        """Iterate over the direct children of a part; most parts have none."""
        kind = span.part.content_type
        if kind in ATTACHED_MAILS and not is_encoded(span.encoding):
            yield self._read_part(index, span.depth + 1, span.start, span.stop)
        elif span.part.is_multipart and span.part.boundary:
            for begin, end in self._search.spans(
                self._content, span.part.boundary, span.start, span.stop
            ):
                yield self._read_part(index, span.depth + 1, begin, end, parent_type=kind)

    def _read_part(
        self, parent: int, depth: int, start: int, stop: int, *, parent_type: str = ""
    ) -> _PartSpan:
        """Read the header at `start`; the body ends at `stop`."""
        content = self._content
        if parent < 0:
            header = self._header
        else:
            header = read_header(content, start, stop, fields_max=PART_FIELDS_MAX)
        self._headers_complete &= header.complete
        part = part_of(header, in_digest=parent_type == "multipart/digest")
        body_start = _line_end(content, start, stop) or header.body_start
        return _PartSpan(
            parent=parent,
            depth=depth,
            header=header,
            part=part,
            header_start=start,
            start=body_start,
            stop=stop,
            encoding=encoding_of(header)[:ENCODING_MAX_CHARS],
            is_mail=not parent_type,
        )

    def _part(self, span: _PartSpan, lines: int) -> OutlinePart:
        header, values = span.header, PartValues(span.header)
        if span.is_mail and needs_charset(header):
            header.charset = self._guessed_charset()
        filename = span.part.filename
        if not filename.isascii():
            filename = filename_in(header, self._guessed_charset())
        _, parameters = values.parameterized("content-type")
        disposition, disposition_parameters = values.parameterized("content-disposition")
        return OutlinePart(
            parent=span.parent,
            header_start=span.header_start,
            body_start=span.start,
            size_bytes=span.stop - span.start,
            lines=lines,
            content_type="text/plain" if self._raw else span.part.content_type,
            parameters=parameters,
            encoding=span.encoding,
            disposition=disposition,
            disposition_parameters=disposition_parameters,
            content_id=values.octets("content-id"),
            description=values.octets("content-description"),
            md5=values.octets("content-md5"),
            language=values.octets("content-language"),
            location=values.octets("content-location"),
            filename=filename,
            envelope=envelope_of(header) if span.is_mail else None,
            cut=values.cut,
        )

    def _guessed_charset(self) -> str:
        """Return the charset of the text of the mail, as the header summary uses it."""
        if self._charset is None:
            self._charset = "" if self._raw else walk_tree(self._content).charset
        return self._charset


def _line_end(content: bytes, start: int, stop: int) -> int:
    """Return the offset after the line end at `start`; 0: there is none, so a header begins."""
    first = content[start : min(start + 2, stop)]
    if first == b"\r\n":
        return start + 2
    return start + 1 if first[:1] in (b"\r", b"\n") and first else 0


def _count_lines(content: bytes, spans: Sequence[_PartSpan]) -> list[int]:
    """Return the number of line feeds in each body, by one pass over the content."""
    offsets = sorted({offset for each in spans for offset in (each.start, each.stop)})
    before, count = {offsets[0]: 0}, 0
    for first, second in pairwise(offsets):
        count += content.count(b"\n", first, second)
        before[second] = count
    return [before[each.stop] - before[each.start] for each in spans]


def _with_leaves_as_text(parts: list[OutlinePart]) -> tuple[OutlinePart, ...]:
    """Return `parts`, in which a multipart without parts is text (RFC 2045 §5.2)."""
    parents = {part.parent for part in parts}
    return tuple(
        msgspec.structs.replace(part, content_type="text/plain")
        if part.content_type.startswith("multipart/") and index not in parents
        else part
        for index, part in enumerate(parts)
    )
