"""Parser of multipart structure (RFC 2046 §5.1): the part tree of a mail, without recursion.

Accepts any octets and never raises: broken base64 is decoded as far as possible, and a multipart
without delimiters is text.
Limits: PARTS_MAX parts, DEPTH_MAX levels, and those of the search for delimiters
(mail/mime/delimiters.py); beyond a limit the tree is not `complete`. Linear time: each header is
parsed once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from mail.mime.delimiters import DelimiterSearch
from mail.mime.header_fields import Header, read_header
from mail.mime.part_details import complete_parts
from mail.mime.parts import MimePart, PartTree, encoding_of, part_of
from mail.mime.transfer_encoding import DecodedBody

PART_FIELDS_MAX = 1_000
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


class _TreeWalk:
    """The walk over one mail, with its limits."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._search = DelimiterSearch(len(content))
        self._headers_complete = True
        self.undeclared: list[tuple[MimePart, Header]] = []  # filenames of unknown charset

    @property
    def complete(self) -> bool:
        """Whether all parts were found within the limits."""
        return self._headers_complete and not self._search.exhausted

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
        boundary = parent.boundary
        spans = list(self._search.spans(parent.octets, boundary, parent.start, parent.stop))
        octets = parent.octets
        if not spans and parent.encoding in _ENCODED and octets is self._content:
            octets = (
                parent.part.decode()
            )  # RFC 2045 §6.4 forbids an encoded multipart; some send it
            spans = list(self._search.spans(octets, boundary, 0, len(octets)))
        in_digest = parent.part.content_type == "multipart/digest"
        for begin, end in spans:
            header = read_header(octets, begin, end, fields_max=PART_FIELDS_MAX)
            self._headers_complete &= header.complete
            yield self.part(header, octets, end, in_digest=in_digest)
