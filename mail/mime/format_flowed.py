"""Decoder of format=flowed text (RFC 3676): lines broken by the sender are joined to paragraphs.

Accepts any text and never raises. Linear time.
"""

import re

_QUOTES = re.compile(r">*")
_SIGNATURE = "-- "


def unflow(text: str, *, delete_space: bool) -> str:
    r"""Join the lines of `text` at soft breaks; lines end in \n.

    `delete_space` (DelSp=yes): the space before a soft break is not part of the text, as in scripts
    without spaces. Quoted lines keep their marks and are joined within one quote depth (§4.5).
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
