"""Text of strangers made safe to store, sort, show and send on: valid Unicode, no controls."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x85]")
UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UNWANTED_ASCII = dict.fromkeys(i for i in range(128) if UNWANTED.match(chr(i)))
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")  # they can make exe look like txt
_SPACES_LOOKED_AT = 8


def one_line(text: str, *, limit: int) -> str:
    """At most `limit` characters, runs of white space as one space, no direction overrides."""
    # White space may fill the beginning, so more than `limit` is looked at, but not all of it.
    beginning = text[: limit * _SPACES_LOOKED_AT].replace("\x85", " ")
    spaced = " ".join(beginning.split())
    if spaced.isascii() and spaced.isprintable():
        return spaced[:limit].strip()
    return _DIRECTION.sub("", UNWANTED.sub("", spaced))[:limit].strip()


def lines(text: str, *, limit: int) -> str:
    r"""At most `limit` characters; every line end is \n, tabs stay, other controls go."""
    cut = text[:limit]
    if cut.isascii():
        return cut.replace("\r\n", "\n").replace("\r", "\n").translate(_UNWANTED_ASCII)
    return UNWANTED.sub("", _LINE_ENDS.sub("\n", cut))


def fitting(found: Iterable[T], text_of: Callable[[T], str], *, max_bytes: int) -> Iterator[T]:
    """The first of `found`, for as long as their texts take no more than that together."""
    left_bytes = max_bytes
    for one in found:
        left_bytes -= len(text_of(one).encode())
        if left_bytes < 0:
            return
        yield one
