"""Strict reader of a mail by RFC 5322 and RFC 2046: refuses everything that is not by the book."""

import re
from dataclasses import dataclass, field

LINE_MAX = 998
_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]*):(?: |(?=\r\n =\?))([^\r\n]*(?:\r\n [^\r\n]*)*)\r\n")
_BOUNDARY = re.compile(rb'boundary="([^"]+)"')


@dataclass
class StrictPart:
    """A part: its fields by lower-case name, its body, and its children."""

    fields: dict[str, bytes]
    body: bytes
    children: list["StrictPart"] = field(default_factory=list)

    @property
    def content_type(self) -> str:
        return self.fields["content-type"].partition(b";")[0].decode()

    def leaves(self) -> list["StrictPart"]:
        if not self.content_type.startswith("multipart/"):
            return [self]
        return [leaf for child in self.children for leaf in child.leaves()]


def read_strictly(octets: bytes) -> StrictPart:
    """Return the parts of a mail whose lines end with CR LF and have at most LINE_MAX octets."""
    assert b"\x00" not in octets
    assert b"\r" not in octets.replace(b"\r\n", b""), "a bare CR"
    assert b"\n" not in octets.replace(b"\r\n", b""), "a bare LF"
    assert max(map(len, octets.split(b"\r\n"))) <= LINE_MAX
    return _part(octets)


def _part(octets: bytes) -> StrictPart:
    fields: dict[str, bytes] = {}
    position = 0
    while not octets.startswith(b"\r\n", position):
        match = _FIELD.match(octets, position)
        assert match, f"no field: {octets[position : position + 80]!r}"
        name = match[1].decode().lower()
        assert name not in fields, f"{name} is repeated"
        folded = match[2].removeprefix(b"\r\n").split(b"\r\n")
        assert all(line.strip() for line in folded), "a folded line of white space"
        fields[name] = match[2].replace(b"\r\n", b"").strip()
        position = match.end()
    part = StrictPart(fields, octets[position + 2 :])
    if part.content_type.startswith("multipart/"):
        boundary = _BOUNDARY.search(fields["content-type"])
        assert boundary
        pieces = (b"\r\n" + part.body).split(b"\r\n--" + boundary[1])
        assert pieces[0] == b""
        assert pieces[-1] in {b"--\r\n", b"--"}
        part.children = [_part(piece.removeprefix(b"\r\n")) for piece in pieces[1:-1]]
        assert len(part.children) > 1
    return part
