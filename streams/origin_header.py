"""Where a record stood in the log that a backup was taken of: a header of records put back.

A restored mailbox knows commands by the positions of that log. A command that changed nothing is
known by its position alone, so without the header it would be carried out behind what followed it.
"""

from collections.abc import Iterable

from schemas.events.mailbox_events import Position

HEADER = "put-back-from"  # EPOCH/PARTITION/OFFSET; once for each restore, the oldest first


def header_of(position: Position) -> tuple[str, bytes]:
    """The header of a record that stood at `position`."""
    text = f"{position.epoch}/{position.partition}/{position.offset}"
    return HEADER, text.encode()


def origins_in(headers: Iterable[tuple[str, bytes]]) -> tuple[Position, ...]:
    """The positions that `headers` name, in their order. A value that is none is passed over."""
    found = (_position(value) for name, value in headers if name == HEADER)
    return tuple(position for position in found if position is not None)


def _position(value: bytes | None) -> Position | None:
    epoch, _, place = (value or b"").decode("utf-8", "replace").partition("/")
    partition, _, offset = place.partition("/")
    if not (epoch and partition.isdecimal() and offset.isdecimal()):
        return None
    return Position(epoch, int(partition), int(offset))
