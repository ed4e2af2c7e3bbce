"""Which events are at work, in a file that outlives a killed process.

One file for each partition of a stage: a header, then places of 24 bytes. Each has an offset, its
size in bytes, the number of processes that ended with it alone, and whether it is alone now.
A place is written before a try and cleared after it, without a sync: it survives the process, not
the machine. What a killed process leaves is suspect, and is tried alone by the next one. What ended
GUILTY_AFTER processes while it was alone is guilty: somebody may kill a healthy process once or
twice, and hit the same event.
A file of another boot or another epoch of its topic counts for nothing. A file that another living
process has locked is left alone, and so is a disk that is full: then nothing is noted.
"""

import fcntl
import hashlib
import logging
import os
import struct
from pathlib import Path

log = logging.getLogger(__name__)

PLACES_MAX = 1_024
GUILTY_AFTER = 2  # processes that ended while they handled nothing else
_PLACE = struct.Struct("<QQQ")  # offset + 1 (0: free), size_bytes, 2 * ends + (1 when alone now)
_CLEAR = bytes(_PLACE.size)
_MAGIC = b"tries.1\n"
_HEADER_BYTES = 24  # the magic, and a stamp of 16 bytes
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def stamp_of(epoch: str) -> bytes:
    """16 bytes that change with the epoch and with each boot."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii")
    except OSError:
        boot = ""
    return hashlib.sha256(f"{boot}{epoch}".encode()).digest()[:16]


class AttemptNotes:
    """Notes of one partition in one assignment. `suspect`: offsets that a killed process left."""

    def __init__(self, path: Path | None, stamp: bytes) -> None:
        self.suspects: set[int] = set()
        self.guilty: set[int] = set()
        self._ends: dict[int, int] = {}  # offset of a suspect: processes that ended with it alone
        self._places: dict[int, int] = {}  # offset: its place in the file
        self._free: list[int] = []
        self._next = _HEADER_BYTES
        self._file = -1
        if path is None:
            return
        try:
            self._open(path, stamp)
        except OSError as error:
            log.warning("tries are not noted in %s: %s", path, error)
            self._drop()

    def begin(self, offset: int, size_bytes: int, *, alone: bool = False) -> None:
        """Note a try that is about to begin."""
        if self._file < 0:
            return
        place = self._places.get(offset)
        if place is None:
            place = self._free.pop() if self._free else self._next
            if place == self._next:
                if self._next >= _HEADER_BYTES + PLACES_MAX * _PLACE.size:
                    return
                self._next += _PLACE.size
            self._places[offset] = place
        ends = self._ends.get(offset, 0) if self._ends else 0
        self._write(_PLACE.pack(offset + 1, size_bytes, 2 * ends + alone), place)

    def end(self, offset: int, *, handled: bool) -> None:
        """The try has ended, and with it every suspicion if the event was `handled`."""
        if offset in self.suspects and not handled:
            self.begin(offset, 0)
            return
        self.suspects.discard(offset)
        self.guilty.discard(offset)
        self._ends.pop(offset, None)
        place = self._places.pop(offset, None)
        if place is not None:
            self._write(_CLEAR, place)
            self._free.append(place)

    def close(self) -> None:
        """Clear what this process noted; what it found and did not try stays suspect."""
        for offset in list(self._places):
            if offset not in self.guilty:
                self.end(offset, handled=False)
        self._drop()

    def _open(self, path: Path, stamp: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = _HEADER_BYTES + PLACES_MAX * _PLACE.size
        found = os.pread(self._file, size, 0)
        if found[:_HEADER_BYTES] != _MAGIC + stamp:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, _MAGIC + stamp, 0)
            return
        for place in range(_HEADER_BYTES, len(found) - _PLACE.size + 1, _PLACE.size):
            self._take(place, *_PLACE.unpack_from(found, place))

    def _take(self, place: int, number: int, size_bytes: int, state: int) -> None:
        self._next = place + _PLACE.size
        if not number or number - 1 in self._places:
            self._free.append(place)
            return
        offset, ends = number - 1, min(state // 2 + state % 2, GUILTY_AFTER)
        self._places[offset], self._ends[offset] = place, ends
        (self.guilty if ends == GUILTY_AFTER else self.suspects).add(offset)
        log.warning(
            "processes ended while they handled offset %d (%d bytes), %d of them with it alone",
            offset, size_bytes, ends,
        )  # fmt: skip
        self._write(_PLACE.pack(number, size_bytes, 2 * ends), place)

    def _write(self, octets: bytes, place: int) -> None:
        if self._file < 0:
            return
        try:
            os.pwrite(self._file, octets, place)
        except OSError as error:
            log.warning("tries are not noted any more: %s", error)
            self._drop()

    def _drop(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
