"""Text cleaning: text of untrusted origin becomes valid Unicode without control characters."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x85]")
UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UNWANTED_ASCII = dict.fromkeys(i for i in range(128) if UNWANTED.match(chr(i)))
_DIRECTION = re.compile(
    "[\u202a-\u202e\u2066-\u2069]"
)  # bidirectional controls: they can make exe look like txt
_READ_FACTOR = 8


def one_line(text: str, *, limit: int) -> str:
    """One line of at most `limit` characters: white space collapsed, no bidirectional controls."""
    # White space may fill the beginning, so more than `limit` characters are read, but not all.
    beginning = text[: limit * _READ_FACTOR].replace("\x85", " ")
    spaced = " ".join(beginning.split())
    if spaced.isascii() and spaced.isprintable():
        return spaced[:limit].strip()
    return _DIRECTION.sub("", UNWANTED.sub("", spaced))[:limit].strip()


def lines(text: str, *, limit: int) -> str:
    r"""At most `limit` characters: line ends become \n, tabs stay, other controls are removed."""
    cut = text[:limit]
    if cut.isascii():
        return cut.replace("\r\n", "\n").replace("\r", "\n").translate(_UNWANTED_ASCII)
    return UNWANTED.sub("", _LINE_ENDS.sub("\n", cut))


def fitting(items: Iterable[T], text_of: Callable[[T], str], *, max_bytes: int) -> Iterator[T]:
    """The first of `items` whose texts together take at most `max_bytes` of UTF-8."""
    left_bytes = max_bytes
    for item in items:
        left_bytes -= len(text_of(item).encode())
        if left_bytes < 0:
            return
        yield item
