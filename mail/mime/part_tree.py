"""The parts of a mail (RFC 2046 §5.1): one tree, breadth first, without recursion.

Never fails. Work is linear in the size of the mail: headers are read once, bodies are looked
through for delimiters SCANS_MAX times at most, and DELIMITERS_LOOKED_AT_MAX places are compared.
Broken base64 gives what can be had; a multipart whose delimiters are nowhere is text.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from mail.mime.header_fields import Header, read_header
from mail.mime.part_details import settle
from mail.mime.parts import MimePart, PartTree, describe, encoding_of
from mail.mime.transfer_encoding import Decoded

DELIMITERS_LOOKED_AT_MAX = 20_000
PART_FIELDS_MAX = 1_000
SCANS_MAX = 20  # levels of a tree that may be as big as the mail
_SCANNED_AT_LEAST_BYTES = 1024 * 1024
_ENCODED = frozenset({"base64", "quoted-printable"})


def walk_tree(content: bytes, header: Header | None = None) -> PartTree:
    """The tree of a mail, whose `header` may have been read already."""
    walk = _TreeWalk(content)
    header = header or read_header(content)
    root = walk.part(header, content, len(content))
    tree = PartTree(root.part, complete=header.complete)
    waiting = deque([(root, 1)])
    while waiting and tree.complete:
        parent, depth = waiting.popleft()
        for child in walk.children(parent):
            if not tree.admits_more(depth):
                break
            parent.part.children.append(child.part)
            if child.boundary:
                waiting.append((child, depth + 1))
    tree.complete &= walk.complete
    settle(tree, walk.undeclared)
    return tree


@dataclass(slots=True, frozen=True)
class _Entity:
    """A part and where its body stands; `boundary` is "" where there are no parts in it."""

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
    """One walk over one mail, with its budgets."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._looks_left = DELIMITERS_LOOKED_AT_MAX
        self._scan_left_bytes = SCANS_MAX * len(content) + _SCANNED_AT_LEAST_BYTES
        self._headers_complete = True
        self.undeclared: list[tuple[MimePart, Header]] = []  # whose names are read again

    @property
    def complete(self) -> bool:
        """Whether the budgets were enough."""
        return self._headers_complete and self._looks_left > 0 and self._scan_left_bytes >= 0

    def part(self, header: Header, octets: bytes, stop: int, *, in_digest: bool = False) -> _Entity:
        """The entity of `header`, whose body goes on to `stop`."""
        start, encoding = header.body_start, encoding_of(header)
        part = describe(header, in_digest=in_digest)
        if not part.filename.isascii():
            self.undeclared.append((part, header))
        is_text = part.content_type.startswith("text/")
        part.decode = Decoded(octets, start, stop, encoding, is_text)
        boundary = part.boundary if part.is_multipart else ""
        return _Entity(part, boundary, encoding, octets, start, stop)

    def children(self, parent: _Entity) -> Iterator[_Entity]:
        """The parts of a multipart, at first level; none of a leaf."""
        if not parent.boundary:
            return
        delimiter = b"--" + parent.boundary.encode("utf-8", "replace")
        spans = list(self._spans(parent.octets, delimiter, parent.start, parent.stop))
        octets = parent.octets
        if not spans and parent.encoding in _ENCODED and octets is self._content:
            octets = parent.part.decode()  # RFC 2045 §6.4 forbids to encode a whole multipart
            spans = list(self._spans(octets, delimiter, 0, len(octets)))
        in_digest = parent.part.content_type == "multipart/digest"
        for begin, end in spans:
            header = read_header(octets, begin, end, fields_max=PART_FIELDS_MAX)
            self._headers_complete &= header.complete
            yield self.part(header, octets, end, in_digest=in_digest)

    def _spans(
        self, octets: bytes, delimiter: bytes, start: int, stop: int
    ) -> Iterator[tuple[int, int]]:
        """Between delimiter lines; the line end before a delimiter belongs to it."""
        opened = -1
        for found in self._delimiters(octets, delimiter, start, stop):
            if opened >= 0:
                yield opened, _before_line_end(octets, opened, found.start)
            opened = -1 if found.closes else found.line_end
            if found.closes:
                return
        if opened >= 0:
            yield opened, stop

    def _delimiters(
        self, octets: bytes, delimiter: bytes, start: int, stop: int
    ) -> Iterator[_Delimiter]:
        self._scan_left_bytes -= stop - start
        at = start
        while self._looks_left > 0 and self._scan_left_bytes >= 0:
            found = octets.find(delimiter, at, stop)
            if found < 0:
                return
            self._looks_left -= 1
            line_end = octets.find(b"\n", found, stop) + 1 or stop
            rest = octets[found + len(delimiter) : line_end].rstrip()
            begins_line = found == start or octets[found - 1 : found] == b"\n"
            if begins_line and rest in (b"", b"--"):
                yield _Delimiter(found, line_end, closes=rest == b"--")
            at = line_end


def _before_line_end(octets: bytes, opened: int, start: int) -> int:
    end = start - 1 if start > opened else start
    return end - 1 if end > opened and octets[end - 1 : end] == b"\r" else end
