"""Commit log of a Cassandra node: what a power cut leaves there, before the node is started.

Cassandra tolerates a write that reached the disk in parts at the end of its last segment alone. It
makes each segment while the one before it is written, so after a power cut the last one may be a
segment without any write; it passes over such a one only if its header is on the disk.

A segment begins with version (4 octets), id (8), length of its parameters (2), parameters, and a
CRC (4). Then come its sections, each with the place where the next begins: zero if there is none.
"""

from contextlib import suppress
from pathlib import Path

_LENGTH = slice(12, 14)
_FIXED_BYTES = 18
_PLACE_BYTES = 8
_HEAD_BYTES = 4096  # with far more room for parameters than they need


def remove_empty_segments(folder: Path) -> None:
    """Remove the segments in `folder` that hold no write."""
    for segment in folder.glob("CommitLog-*.log"):
        with suppress(FileNotFoundError):
            if _is_empty(segment):
                segment.unlink()


def _is_empty(segment: Path) -> bool:
    with segment.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    begin = _FIXED_BYTES + int.from_bytes(head[_LENGTH], "big")
    return not any(head[begin : begin + _PLACE_BYTES])
