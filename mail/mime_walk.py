"""The parts of a mail, read by us: for what fast-mail-parser refuses, misreads or dies of.

Never fails, and never does more than its limits allow: no recursion, a bounded number of places
looked at. Broken base64 gives what can be had; a multipart whose delimiters are nowhere is text.
"""

import binascii
from collections import deque
from collections.abc import Iterator
from functools import cache

from mail.charsets import guess_text
from mail.headers import Header, lenient_base64, read_header
from mail.mime import Part, Tree, describe, parameters

DELIMITERS_LOOKED_AT_MAX = 20_000
BOUNDARY_MAX_BYTES = 200  # RFC 2046 §5.1.1 says 70
_VALUE_MAX_BYTES = 16 * 1024

Span = tuple[int, int]


def walk_tree(content: bytes) -> Tree:
    """The tree, breadth first, so that the limits cut off the deepest parts."""
    walk = _Walk(content)
    root = walk.part((0, len(content)))
    tree = Tree(root[0])
    waiting = deque([(*root, 1)])
    while waiting and tree.complete:
        parent, header, span, depth = waiting.popleft()
        for child in walk.children(parent, header, span):
            if not tree.admits_more(depth):
                break
            parent.children.append(child[0])
            waiting.append((*child, depth + 1))
    tree.complete &= walk.looks_left > 0
    _settle(tree.root)
    return tree


def _settle(root: Part) -> None:
    """A multipart without parts is shown as the text that it is (RFC 2045 §5.2)."""
    parts = [root]
    while parts:
        part = parts.pop()
        parts += part.children
        if part.is_multipart and not part.children:
            part.content_type, part.attached = "text/plain", False


class _Walk:
    """One walk over one content; `looks_left` is its budget of possible delimiters."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.looks_left = DELIMITERS_LOOKED_AT_MAX

    def part(self, span: Span, *, in_digest: bool = False) -> tuple[Part, Header, Span]:
        """The part that stands in `span`, its header, and where its body is."""
        start, end = span
        header = read_header(self._content[start:end])
        body = (start + header.body_start, end)
        encoding = _value(header, "content-transfer-encoding").partition(";")[0].strip().lower()
        part = describe(
            content_type=_value(header, "content-type") or ("message/rfc822" if in_digest else ""),
            disposition=_value(header, "content-disposition"),
            content_id=_value(header, "content-id"),
            decode=cache(lambda: decode_transfer(self._content[body[0] : body[1]], encoding)),
        )
        return part, header, body

    def children(
        self, parent: Part, header: Header, body: Span
    ) -> Iterator[tuple[Part, Header, Span]]:
        if not parent.is_multipart:
            return
        boundary = parameters(_value(header, "content-type")).get("boundary", "").rstrip()
        if not 0 < len(boundary) <= BOUNDARY_MAX_BYTES:
            return
        in_digest = parent.content_type == "multipart/digest"
        for span in self._spans(b"--" + boundary.encode("utf-8", "replace"), body):
            yield self.part(span, in_digest=in_digest)

    def _spans(self, delimiter: bytes, body: Span) -> Iterator[Span]:
        """Between delimiter lines; the line end before a delimiter belongs to it."""
        opened = -1
        for start, end, closes in self._delimiters(delimiter, body):
            if opened >= 0:
                yield opened, self._before_line_end(opened, start)
            opened = -1 if closes else end
            if closes:
                return
        if opened >= 0:
            yield opened, body[1]

    def _delimiters(self, delimiter: bytes, body: Span) -> Iterator[tuple[int, int, bool]]:
        """Start, start of the next line, and whether it is the closing one (RFC 2046 §5.1.1)."""
        content, (at, stop) = self._content, body
        while self.looks_left > 0:
            start = content.find(delimiter, at, stop)
            if start < 0:
                return
            self.looks_left -= 1
            line_end = content.find(b"\n", start, stop)
            line_end = stop if line_end < 0 else line_end + 1
            rest = content[start + len(delimiter) : line_end].rstrip()
            if (start == body[0] or content[start - 1 : start] == b"\n") and rest in (b"", b"--"):
                yield start, line_end, rest == b"--"
            at = line_end

    def _before_line_end(self, opened: int, start: int) -> int:
        end = start - 1 if start > opened else start
        return end - 1 if end > opened and self._content[end - 1 : end] == b"\r" else end


def _value(header: Header, name: str) -> str:
    values = header.all(name)
    return guess_text(values[0][:_VALUE_MAX_BYTES]) if values else ""


def decode_transfer(body: bytes, encoding: str) -> bytes:
    """RFC 2045 §6; an encoding that nobody knows is taken as it stands."""
    if encoding == "base64":
        return lenient_base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    return body
