"""Commit log of a Cassandra node: what a power cut leaves there, before the node is started.

Cassandra tolerates a write that reached the disk in parts at the end of its last segment alone. It
makes each segment while the one before it is written, so after a power cut the last one may be a
file of zeros, which it does not pass over.
"""

from contextlib import suppress
from functools import partial
from pathlib import Path

_PART_BYTES = 1024 * 1024


def remove_empty_segments(folder: Path) -> None:
    """Remove the segments in `folder` that are zeros alone, or have no octet."""
    for segment in folder.glob("CommitLog-*.log"):
        with suppress(FileNotFoundError):
            if _is_empty(segment):
                segment.unlink()


def _is_empty(segment: Path) -> bool:
    with segment.open("rb") as file:
        return not any(part.strip(b"\0") for part in iter(partial(file.read, _PART_BYTES), b""))
