"""Notes of running attempts, in a file that survives a killed process.

A worker has one file for each partition of a stage: a header, then slots of 24 bytes. A slot holds
the event's offset, its size in bytes, the number of processes that ended while this event alone was
handled, and whether it is handled alone now.
A slot is written before an attempt and cleared after it, without fsync: it survives the process,
not the machine. Events in the slots of a killed process are suspect, and the next process handles
each of them alone. An event that ended GUILTY_AFTER processes alone is guilty. Fewer ends prove
nothing: a healthy process may be killed once or twice while it handles the same event.
A file of another boot, or of another epoch of its topic, is discarded. If another process has
locked the file, or the disk is full, attempts are not noted.
"""

import fcntl
import hashlib
import logging
import os
import struct
from pathlib import Path

log = logging.getLogger(__name__)

SLOTS_MAX = 1_024
GUILTY_AFTER = 2  # processes that ended while they handled no other event
_SLOT = struct.Struct("<QQQ")  # offset + 1 (0: free), size_bytes, 2 * ends + (1 when alone now)
_CLEAR = bytes(_SLOT.size)
_MAGIC = b"tries.1\n"
_HEADER_BYTES = 24  # the magic number, and a stamp of 16 bytes
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def stamp_of(epoch: str) -> bytes:
    """Return 16 bytes that depend on the epoch and on the boot."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii")
    except OSError:
        boot = ""
    return hashlib.sha256(f"{boot}{epoch}".encode()).digest()[:16]


class AttemptNotes:
    """Notes of one partition in one assignment.

    `suspects` and `guilty`: offsets that killed processes left in the file.
    """

    def __init__(self, path: Path | None, stamp: bytes) -> None:
        self.suspects: set[int] = set()
        self.guilty: set[int] = set()
        self._ends: dict[int, int] = {}  # by offset: processes that ended with the event alone
        self._slots: dict[int, int] = {}  # by offset: position of the slot in the file
        self._free: list[int] = []
        self._next = _HEADER_BYTES
        self._file = -1
        if path is None:
            return
        try:
            self._open(path, stamp)
        except OSError as error:
            log.warning("attempts are not noted in %s: %s", path, error)
            self._close_file()

    def begin(self, offset: int, size_bytes: int, *, alone: bool = False) -> None:
        """Note an attempt that is about to begin."""
        if self._file < 0:
            return
        slot = self._slots.get(offset)
        if slot is None:
            slot = self._free.pop() if self._free else self._next
            if slot == self._next:
                if self._next >= _HEADER_BYTES + SLOTS_MAX * _SLOT.size:
                    return
                self._next += _SLOT.size
            self._slots[offset] = slot
        ends = self._ends.get(offset, 0) if self._ends else 0
        self._write(_SLOT.pack(offset + 1, size_bytes, 2 * ends + alone), slot)

    def end(self, offset: int, *, handled: bool) -> None:
        """Clear the note of an attempt that ended. Only a `handled` event ceases to be suspect."""
        if offset in self.suspects and not handled:
            self.begin(offset, 0)
            return
        self.suspects.discard(offset)
        self.guilty.discard(offset)
        self._ends.pop(offset, None)
        slot = self._slots.pop(offset, None)
        if slot is not None:
            self._write(_CLEAR, slot)
            self._free.append(slot)

    def close(self) -> None:
        """Clear the notes of this process. Suspects that it has not handled stay suspect."""
        for offset in list(self._slots):
            if offset not in self.guilty:
                self.end(offset, handled=False)
        self._close_file()

    def _open(self, path: Path, stamp: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = _HEADER_BYTES + SLOTS_MAX * _SLOT.size
        octets = os.pread(self._file, size, 0)
        if octets[:_HEADER_BYTES] != _MAGIC + stamp:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, _MAGIC + stamp, 0)
            return
        for slot in range(_HEADER_BYTES, len(octets) - _SLOT.size + 1, _SLOT.size):
            self._load(slot, *_SLOT.unpack_from(octets, slot))

    def _load(self, slot: int, number: int, size_bytes: int, state: int) -> None:
        self._next = slot + _SLOT.size
        if not number or number - 1 in self._slots:
            self._free.append(slot)
            return
        offset, ends = number - 1, min(state // 2 + state % 2, GUILTY_AFTER)
        self._slots[offset], self._ends[offset] = slot, ends
        (self.guilty if ends == GUILTY_AFTER else self.suspects).add(offset)
        log.warning(
            "processes ended while they handled offset %d (%d bytes), %d of them handled it alone",
            offset, size_bytes, ends,
        )  # fmt: skip
        self._write(_SLOT.pack(number, size_bytes, 2 * ends), slot)

    def _write(self, octets: bytes, slot: int) -> None:
        if self._file < 0:
            return
        try:
            os.pwrite(self._file, octets, slot)
        except OSError as error:
            log.warning("attempts are not noted any more: %s", error)
            self._close_file()

    def _close_file(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
