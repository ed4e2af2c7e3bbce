"""Completion of a part tree: fallback charsets, filenames, and uuencoded files in texts.

These details need the other parts of the mail. Never raises; linear time.
"""

from mail.mime.charsets import codec_of, meta_charset
from mail.mime.encoded_words import field_text
from mail.mime.header_fields import Header
from mail.mime.parts import FILENAME_MAX_CHARS, MimePart, PartTree, filename_in
from mail.mime.transfer_encoding import Uuencoded, uuencoded
from mail.text_cleaning import one_line

_UU_MARK = b"begin "


def complete_parts(tree: PartTree, undeclared: list[tuple[MimePart, Header]]) -> None:
    """Complete the parts of a tree. `undeclared`: the parts with a filename that is not ASCII."""
    leaves = _leaves(tree.root)
    for part in leaves:
        if part.is_multipart:  # a multipart without parts is text (RFC 2045 §5.2)
            part.content_type, part.attached = "text/plain", False
    texts = [part for part in leaves if _is_text(part)]
    tree.charset = _charset_of(texts)
    for part in texts:
        if codec_of(part.charset) is None:
            part.fallback_charset = _meta_charset(part) or tree.charset
    for part, header in undeclared:
        part.filename = filename_in(header, tree.charset)
    if any(_UU_MARK in part.decode() for part in texts if part.content_type == "text/plain"):
        _extract_uuencoded(tree)


def _leaves(root: MimePart) -> list[MimePart]:
    """Return the leaves in order."""
    if not root.children:
        return [root]
    leaves: list[MimePart] = []
    stack = [root]
    while stack:
        part = stack.pop()
        stack += reversed(part.children)
        if not part.children:
            leaves.append(part)
    return leaves


def _is_text(part: MimePart) -> bool:
    return part.content_type in {"text/plain", "text/html"} and not part.attached


def _charset_of(texts: list[MimePart]) -> str:
    """Return the first declared charset other than UTF-8, else the first charset of a page."""
    declared = (part.charset for part in texts if codec_of(part.charset) not in {None, "utf-8"})
    return next(declared, "") or next(filter(None, map(_meta_charset, texts)), "")


def _meta_charset(part: MimePart) -> str:
    return meta_charset(part.decode()) if part.content_type == "text/html" else ""


def _extract_uuencoded(tree: PartTree) -> None:
    """Turn uuencoded files in plain texts into attachments after the text."""
    if not tree.root.children:
        files = _extract_files(tree.root, tree)
        if files:
            tree.root = MimePart(content_type="multipart/mixed", children=[tree.root, *files])
        return
    stack = [tree.root]
    while stack:
        parent = stack.pop()
        stack += (part for part in parent.children if part.children)
        parent.children = [
            child for part in parent.children for child in (part, *_extract_files(part, tree))
        ]


def _extract_files(part: MimePart, tree: PartTree) -> list[MimePart]:
    """Remove the uuencoded files from the text of `part`, and return them as parts."""
    if part.children or part.attached or part.content_type != "text/plain":
        return []
    octets = part.decode()
    files = [file for file in uuencoded(octets) if tree.admits_more(depth=1)]
    if files:
        starts, ends = [file.start for file in files], [file.end for file in files]
        spans = zip([0, *ends], [*starts, len(octets)], strict=True)
        text = b"".join(octets[start:end] for start, end in spans)
        part.decode = lambda: text
    return [_attachment(file, tree.charset) for file in files]


def _attachment(file: Uuencoded, charset: str) -> MimePart:
    name = one_line(field_text(file.name, charset), limit=FILENAME_MAX_CHARS)
    return MimePart(
        content_type="application/octet-stream",
        filename=name,
        attached=True,
        decode=lambda: file.octets,
    )
