"""Origin header: the position that a restored record had in the log that was backed up.

A restored mailbox knows commands by their positions in that log. A command that changed nothing is
known by its position alone. Without the header it would be carried out after the commands that
followed it.
"""

from collections.abc import Iterable

from schemas.events.mailbox_events import Position

HEADER = "put-back-from"  # EPOCH/PARTITION/OFFSET; one for each restore, the oldest first


def header_of(position: Position) -> tuple[str, bytes]:
    """Return the header of a record that was at `position`."""
    text = f"{position.epoch}/{position.partition}/{position.offset}"
    return HEADER, text.encode()


def origins_in(headers: Iterable[tuple[str, bytes]]) -> tuple[Position, ...]:
    """Return the positions in `headers`, in their order; malformed values are skipped."""
    positions = (_position(value) for name, value in headers if name == HEADER)
    return tuple(position for position in positions if position is not None)


def _position(value: bytes | None) -> Position | None:
    epoch, _, rest = (value or b"").decode("utf-8", "replace").partition("/")
    partition, _, offset = rest.partition("/")
    if not (epoch and partition.isdecimal() and offset.isdecimal()):
        return None
    return Position(epoch, int(partition), int(offset))
