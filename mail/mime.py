"""The parts of a mail (RFC 2045, RFC 2046): one tree, whichever parser read it.

fast-mail-parser (Rust) reads what is sane, hundreds of megabytes a second. It must not see three
kinds of mail: nesting by the ten thousand overflows its stack, which kills the process; parts by
the million cost it gigabytes; encoded words by the hundred thousand cost it minutes. Such mail,
and what it refuses, goes to mail/mime_walk.py.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from fast_mail_parser import PyLazyMimePart, parse_email_tree

from mail.charsets import decode_text, guess_text
from mail.clean import one_line
from mail.headers import decode_words

DEPTH_MAX = 100
PARTS_MAX = 1_000
FILENAME_MAX_CHARS = 255
TYPE_MAX_CHARS = 127
PARAMETERS_MAX_CHARS = 16 * 1024
# Its own limits are 256 levels, checked after its recursion, and none on parts.
FAST_CONTENT_TYPES_MAX = 1_000
FAST_DELIMITERS_MAX = 5_000
FAST_WORD_MARKS_MAX = 400  # of encoded words; its cost grows with their cube: 2,500 took 16 s

FAST_MULTIPARTS_MAX = 20

# The closing one; or the header of a part and the empty line behind it.
_AFTER_DELIMITER = re.compile(
    rb"--[ \t]*(?:[\r\n]|\Z)|[ \t]*\r?\n(?:[!-9;-~]+[ \t]*:.*\n(?:[ \t].*\n)*)*\r?\n"
)
_PARAMETER = re.compile(r';\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_CONTINUED = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_TYPE = re.compile(r"[!#-'*+.^-~0-9A-Z-]+/[!#-'*+.^-~0-9A-Z-]+")


class Unsuited(Exception):
    """This parser is not the one for this mail."""


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


def read_tree(content: bytes) -> Tree:
    """By fast-mail-parser. Unsuited, or its ParseError: read it with mail/mime_walk.py instead.

    Leaves decode on demand and may raise its ParseError then.
    """
    if content[:1] in {b" ", b"\t"} or not _is_cheap(content):
        raise Unsuited
    root = parse_email_tree(content, mode="lazy")
    tree = Tree(_part(root))
    boundaries: set[str] = set()
    _take_children(tree, tree.root, root, boundaries, depth=1)
    _check_delimiters(content, boundaries)
    return tree


def _is_cheap(content: bytes) -> bool:
    return (
        content.lower().count(b"content-type") <= FAST_CONTENT_TYPES_MAX
        and content.count(b"\n--") <= FAST_DELIMITERS_MAX
        and content.count(b"=?") + content.count(b"?=") <= FAST_WORD_MARKS_MAX
    )


def _take_children(
    tree: Tree, parent: Part, whole: PyLazyMimePart, boundaries: set[str], depth: int
) -> None:
    if not parent.is_multipart:
        return  # an attached message stays whole
    if not whole.children:
        raise Unsuited  # its delimiters were not found, and its text is not in the tree
    boundaries.add(parameters(_headers(whole).get("content-type", "")).get("boundary", "").rstrip())
    for node in whole.children:
        if not tree.admits_more(depth):
            return
        part = _part(node, in_digest=parent.content_type == "multipart/digest")
        parent.children.append(part)
        _take_children(tree, part, node, boundaries, depth + 1)


def _check_delimiters(content: bytes, boundaries: set[str]) -> None:
    """Unsuited: it took a line that only begins like a delimiter for one, or lost text.

    It gives nothing of a part whose header does not end in an empty line.
    """
    if len(boundaries) > FAST_MULTIPARTS_MAX:
        raise Unsuited
    for boundary in boundaries:
        delimiter, at, opens = b"\n--" + boundary.encode("utf-8", "replace"), 0, False
        while (start := content.find(delimiter, at)) >= 0:
            at = start + len(delimiter)
            found = _AFTER_DELIMITER.match(content, at) if boundary else None
            opens |= found is not None and not found[0].startswith(b"--")
            if not opens or not found:
                raise Unsuited


def _headers(node: PyLazyMimePart) -> dict[str, str]:
    return {name.lower(): values[0] for name, values in node.headers.items()}


def _part(node: PyLazyMimePart, *, in_digest: bool = False) -> Part:
    headers = _headers(node)
    part = describe(
        content_type=headers.get("content-type", "message/rfc822" if in_digest else ""),
        disposition=headers.get("content-disposition", ""),
        content_id=headers.get("content-id", ""),
        decode=lambda: node.content or b"",
    )
    if node.content_type.startswith("multipart") and not part.is_multipart:
        raise Unsuited  # a type that is none: it would give no text
    return part


def describe(
    *, content_type: str, disposition: str, content_id: str, decode: Callable[[], bytes]
) -> Part:
    """A part by its header's values; what they lack or get wrong has RFC 2045 §5.2's defaults."""
    kind = content_type.partition(";")[0].strip().lower()[:TYPE_MAX_CHARS]
    typed = parameters(content_type)
    name = parameters(disposition).get("filename") or typed.get("name", "")
    return Part(
        content_type=kind if _TYPE.fullmatch(kind.upper()) else "text/plain",
        charset=typed.get("charset", ""),
        filename=one_line(name, limit=FILENAME_MAX_CHARS),
        content_id=one_line(content_id, limit=TYPE_MAX_CHARS).strip("<>"),
        attached=disposition.partition(";")[0].strip().lower() == "attachment",
        flowed=typed.get("format", "").lower() == "flowed",
        delete_space=typed.get("delsp", "").lower() == "yes",
        decode=decode,
    )


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
