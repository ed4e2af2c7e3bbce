"""External merge sort: rows in the order of their keys, with bounded memory.

Rows beyond RUN_MAX are in temporary files without a name (TMPDIR), which only their owner can read.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from heapq import merge
from operator import itemgetter
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

K = TypeVar("K")
V = TypeVar("V")
RUN_MAX = 10_000  # rows in memory before they are sorted into a file
FAN_IN = 16  # files of a level that are merged into one file of the next level
_PART = 100  # rows of a file that are in memory at a time
_LENGTH_BYTES = 4
_key = itemgetter(0)
_encode = msgspec.msgpack.Encoder().encode


class SortedRows(Generic[K, V]):
    """Rows of a key and a value. Add all of them, then read them, as often as needed.

    Rows with equal keys come in any order. `kind` is the type of a row, to read it from a file.
    """

    def __init__(self, kind: Any, *, run_max: int = RUN_MAX) -> None:
        self._decode = msgspec.msgpack.Decoder(list[kind]).decode
        self._run_max = run_max
        self._rows: list[tuple[K, V]] = []
        self._levels: list[list[int]] = []  # descriptors of files
        self._files: dict[int, ExitStack] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()

    def add(self, key: K, value: V) -> None:
        self._rows.append((key, value))
        if len(self._rows) >= self._run_max:
            self._rows.sort(key=_key)
            self._keep(0, self._rows)
            self._rows = []

    def __iter__(self) -> Iterator[tuple[K, V]]:
        self._rows.sort(key=_key)
        files = (self._read(file) for level in self._levels for file in level)
        return iter(merge(*files, self._rows, key=_key))

    def _keep(self, level: int, rows: Iterable[tuple[K, V]]) -> None:
        """Write sorted rows into a file of the level; merge the level if it is full."""
        if len(self._levels) == level:
            self._levels.append([])
        self._levels[level].append(self._write(rows))
        if len(self._levels[level]) == FAN_IN:
            full, self._levels[level] = self._levels[level], []
            self._keep(level + 1, merge(*map(self._read, full), key=_key))
            for file in full:
                self._files.pop(file).close()

    def _write(self, rows: Iterable[tuple[K, V]]) -> int:
        with ExitStack() as stack:
            file = stack.enter_context(TemporaryFile())
            each = iter(rows)
            while part := [row for _, row in zip(range(_PART), each, strict=False)]:
                octets = _encode(part)
                file.write(len(octets).to_bytes(_LENGTH_BYTES, "big") + octets)
            file.flush()
            self._files[file.fileno()] = stack.pop_all()
        return file.fileno()

    def _read(self, file: int) -> Iterator[tuple[K, V]]:
        at = 0
        while head := os.pread(file, _LENGTH_BYTES, at):
            size = int.from_bytes(head, "big")
            yield from self._decode(os.pread(file, size, at + _LENGTH_BYTES))
            at += _LENGTH_BYTES + size
