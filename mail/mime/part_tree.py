"""Parser of multipart structure (RFC 2046 §5.1): the part tree of a mail, without recursion.

Accepts any octets and never raises: broken base64 is decoded as far as possible, and a multipart
without delimiters is text.
Limits: PARTS_MAX parts, DEPTH_MAX levels, DELIMITERS_MAX possible delimiters, and SCANS_MAX times
the size of the mail searched for delimiters; beyond a limit the tree is not `complete`. Linear
time: each header is parsed once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from mail.mime.header_fields import Header, read_header
from mail.mime.part_details import complete_parts
from mail.mime.parts import MimePart, PartTree, encoding_of, part_of
from mail.mime.transfer_encoding import DecodedBody

DELIMITERS_MAX = 20_000
PART_FIELDS_MAX = 1_000
SCANS_MAX = 20  # levels of the tree that may each be as large as the mail
_SCAN_MIN_BYTES = 1024 * 1024
_ENCODED = frozenset({"base64", "quoted-printable"})


def walk_tree(content: bytes, header: Header | None = None) -> PartTree:
    """Return the part tree of a mail, breadth first. `header`: its header, if already parsed."""
    walk = _TreeWalk(content)
    header = header or read_header(content)
    root = walk.part(header, content, len(content))
    tree = PartTree(root.part, complete=header.complete)
    queue = deque([(root, 1)])
    while queue and tree.complete:
        parent, depth = queue.popleft()
        for child in walk.children(parent):
            if not tree.admits_more(depth):
                break
            parent.part.children.append(child.part)
            if child.boundary:
                queue.append((child, depth + 1))
    tree.complete &= walk.complete
    complete_parts(tree, walk.undeclared)
    return tree


@dataclass(slots=True, frozen=True)
class _Entity:
    """A part and the position of its body. `boundary` is "" for a leaf."""

    part: MimePart
    boundary: str
    encoding: str
    octets: bytes
    start: int
    stop: int


@dataclass(slots=True, frozen=True)
class _Delimiter:
    start: int
    line_end: int
    closes: bool


class _TreeWalk:
    """The walk over one mail, with its limits."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._comparisons_left = DELIMITERS_MAX
        self._scan_left_bytes = SCANS_MAX * len(content) + _SCAN_MIN_BYTES
        self._headers_complete = True
        self.undeclared: list[tuple[MimePart, Header]] = []  # filenames of unknown charset

    @property
    def complete(self) -> bool:
        """Whether all parts were found within the limits."""
        return self._headers_complete and self._comparisons_left > 0 and self._scan_left_bytes >= 0

    def part(self, header: Header, octets: bytes, stop: int, *, in_digest: bool = False) -> _Entity:
        """Return the entity of `header`; its body ends at `stop`."""
        start, encoding = header.body_start, encoding_of(header)
        part = part_of(header, in_digest=in_digest)
        if not part.filename.isascii():
            self.undeclared.append((part, header))
        is_text = part.content_type.startswith("text/")
        part.decode = DecodedBody(octets, start, stop, encoding, is_text)
        boundary = part.boundary if part.is_multipart else ""
        return _Entity(part, boundary, encoding, octets, start, stop)

    def children(self, parent: _Entity) -> Iterator[_Entity]:
        """Iterate over the direct children of `parent`; a leaf has no children."""
        if not parent.boundary:
            return
        delimiter = b"--" + parent.boundary.encode("utf-8", "replace")
        spans = list(self._spans(parent.octets, delimiter, parent.start, parent.stop))
        octets = parent.octets
        if not spans and parent.encoding in _ENCODED and octets is self._content:
            octets = (
                parent.part.decode()
            )  # RFC 2045 §6.4 forbids an encoded multipart; some send it
            spans = list(self._spans(octets, delimiter, 0, len(octets)))
        in_digest = parent.part.content_type == "multipart/digest"
        for begin, end in spans:
            header = read_header(octets, begin, end, fields_max=PART_FIELDS_MAX)
            self._headers_complete &= header.complete
            yield self.part(header, octets, end, in_digest=in_digest)

    def _spans(
        self, octets: bytes, delimiter: bytes, start: int, stop: int
    ) -> Iterator[tuple[int, int]]:
        """Iterate over the spans between delimiter lines.

        The line end before a delimiter is part of the delimiter.
        """
        opened = -1
        for line in self._find_delimiters(octets, delimiter, start, stop):
            if opened >= 0:
                yield opened, _before_line_end(octets, opened, line.start)
            opened = -1 if line.closes else line.line_end
            if line.closes:
                return
        if opened >= 0:
            yield opened, stop

    def _find_delimiters(
        self, octets: bytes, delimiter: bytes, start: int, stop: int
    ) -> Iterator[_Delimiter]:
        self._scan_left_bytes -= stop - start
        position = start
        while self._comparisons_left > 0 and self._scan_left_bytes >= 0:
            match = octets.find(delimiter, position, stop)
            if match < 0:
                return
            self._comparisons_left -= 1
            line_end = octets.find(b"\n", match, stop) + 1 or stop
            rest = octets[match + len(delimiter) : line_end].rstrip()
            begins_line = match == start or octets[match - 1 : match] == b"\n"
            if begins_line and rest in (b"", b"--"):
                yield _Delimiter(match, line_end, closes=rest == b"--")
            position = line_end


def _before_line_end(octets: bytes, opened: int, start: int) -> int:
    end = start - 1 if start > opened else start
    return end - 1 if end > opened and octets[end - 1 : end] == b"\r" else end
