"""What is known of a part when all parts are: its charset, its name, the files within a text."""

from mail.mime.charsets import codec_of, meta_charset
from mail.mime.encoded_words import field_text
from mail.mime.header_fields import Header
from mail.mime.parts import FILENAME_MAX_CHARS, MimePart, PartTree, filename_by
from mail.mime.transfer_encoding import Uuencoded, uuencoded
from mail.text_cleaning import one_line

_UU_MARK = b"begin "


def settle(tree: PartTree, undeclared: list[tuple[MimePart, Header]]) -> None:
    """Complete the parts of a tree. `undeclared`: those whose names are not in ASCII."""
    leaves = _leaves(tree.root)
    for part in leaves:
        if part.is_multipart:  # without parts it is the text that it is (RFC 2045 §5.2)
            part.content_type, part.attached = "text/plain", False
    texts = [part for part in leaves if _is_text(part)]
    tree.charset = _charset_of(texts)
    for part in texts:
        if codec_of(part.charset) is None:
            part.beside = _meta_of(part) or tree.charset
    for part, header in undeclared:
        part.filename = filename_by(header, tree.charset)
    if any(_UU_MARK in part.decode() for part in texts if part.content_type == "text/plain"):
        _take_uuencoded(tree)


def _leaves(root: MimePart) -> list[MimePart]:
    """In their order."""
    if not root.children:
        return [root]
    found: list[MimePart] = []
    waiting = [root]
    while waiting:
        part = waiting.pop()
        waiting += reversed(part.children)
        if not part.children:
            found.append(part)
    return found


def _is_text(part: MimePart) -> bool:
    return part.content_type in {"text/plain", "text/html"} and not part.attached


def _charset_of(texts: list[MimePart]) -> str:
    """The first charset but UTF-8 that a text names in its header, else in its page."""
    declared = (one.charset for one in texts if codec_of(one.charset) not in {None, "utf-8"})
    return next(declared, "") or next(filter(None, map(_meta_of, texts)), "")


def _meta_of(part: MimePart) -> str:
    return meta_charset(part.decode()) if part.content_type == "text/html" else ""


def _take_uuencoded(tree: PartTree) -> None:
    """Uuencoded files that stand in a plain text become attachments behind it."""
    if not tree.root.children:
        files = _files_of(tree.root, tree)
        if files:
            tree.root = MimePart(content_type="multipart/mixed", children=[tree.root, *files])
        return
    waiting = [tree.root]
    while waiting:
        parent = waiting.pop()
        waiting += (part for part in parent.children if part.children)
        parent.children = [
            one for part in parent.children for one in (part, *_files_of(part, tree))
        ]


def _files_of(part: MimePart, tree: PartTree) -> list[MimePart]:
    """The files in the text of `part`, which loses them."""
    if part.children or part.attached or part.content_type != "text/plain":
        return []
    octets = part.decode()
    found = [file for file in uuencoded(octets) if tree.admits_more(depth=1)]
    if found:
        starts, ends = [file.start for file in found], [file.end for file in found]
        spans = zip([0, *ends], [*starts, len(octets)], strict=True)
        text = b"".join(octets[start:end] for start, end in spans)
        part.decode = lambda: text
    return [_attached(file, tree.charset) for file in found]


def _attached(file: Uuencoded, charset: str) -> MimePart:
    name = one_line(field_text(file.name, charset), limit=FILENAME_MAX_CHARS)
    return MimePart(
        content_type="application/octet-stream",
        filename=name,
        attached=True,
        decode=lambda: file.octets,
    )
