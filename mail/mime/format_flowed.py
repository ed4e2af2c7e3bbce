"""format=flowed (RFC 3676): lines that their sender broke become paragraphs again."""

import re

_QUOTES = re.compile(r">*")
_SIGNATURE = "-- "


def unflowed(text: str, *, delete_space: bool) -> str:
    r"""The text with soft breaks joined; lines end in \n. Linear in its length.

    `delete_space` (DelSp=yes): the space before a soft break is no part of the text, as in scripts
    without spaces. Quoted lines keep their marks and join lines of the same depth only (§4.5).
    """
    paragraphs: list[str] = []
    pieces: list[str] = []
    depth = 0
    for line in text.split("\n"):
        marks = _QUOTES.match(line)
        line_depth = marks.end() if marks else 0
        content = line[line_depth:].removeprefix(" ")  # space-stuffing (§4.4)
        is_signature = content == _SIGNATURE
        if pieces and (line_depth != depth or is_signature):
            paragraphs.append(_quoted(pieces, depth))
            pieces = []
        depth = line_depth
        if content.endswith(" ") and not is_signature:
            pieces.append(content[:-1] if delete_space else content)
            continue
        paragraphs.append(_quoted([*pieces, content], depth))
        pieces = []
    if pieces:
        paragraphs.append(_quoted(pieces, depth))
    return "\n".join(paragraphs)


def _quoted(pieces: list[str], depth: int) -> str:
    return ">" * depth + (" " if depth else "") + "".join(pieces)
