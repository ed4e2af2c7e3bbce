"""File of msgpack values, each preceded by its length. Its checksum is kept elsewhere."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mail.errors import Fatal

_LENGTH_BYTES = 4
_encode = msgspec.msgpack.Encoder().encode
T = TypeVar("T")


class FramedFile:
    """Writes a new file. `check_room` is called with the octets of each value before it."""

    def __init__(self, path: Path, check_room: Callable[[int], None] = lambda _: None) -> None:
        self.path = path
        self._check_room = check_room
        self._file = path.open("xb")

    def add(self, value: Any) -> None:
        raw = _encode(value)
        self._check_room(len(raw))
        self._file.write(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw)

    def mark(self) -> int:
        return self._file.tell()

    def rewind(self, mark: int) -> None:
        if mark != self._file.tell():
            self._file.seek(mark)
            self._file.truncate()

    def close(self) -> None:
        self._file.close()


def values(path: Path, kind: type[T]) -> Iterator[T]:
    """Yield the values of a file. Raises Fatal: it is damaged."""
    decode = msgspec.msgpack.Decoder(kind).decode
    try:
        with path.open("rb") as file:
            while prefix := file.read(_LENGTH_BYTES):
                size = int.from_bytes(prefix, "big")
                raw = file.read(size)
                if len(prefix) < _LENGTH_BYTES or len(raw) < size:
                    raise Fatal(f"{path} is cut short")
                yield decode(raw)
    except (OSError, msgspec.MsgspecError) as error:
        raise Fatal(f"{path} is damaged: {error}") from error
