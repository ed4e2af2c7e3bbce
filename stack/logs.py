"""Log file of one process, rotated by size; lines are written whole."""

from collections.abc import Callable
from pathlib import Path

LOG_MAX_BYTES = 10 * 1024 * 1024
LOG_FILES = 5  # NAME.log and NAME.log.1 … .4
LINE_MAX_BYTES = 64 * 1024  # a longer line is written in pieces


class LogFile:
    """Write the bytes of a pipe as whole lines.

    A full disk must not stop the process that logs: lines that cannot be written are counted, and
    the count is written when the disk has space again.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = LOG_MAX_BYTES,
        files: int = LOG_FILES,
        edit: Callable[[bytes], bytes] = lambda lines: lines,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._files = files
        self._edit = edit  # whole lines, before they are written
        self._rest = b""
        self._lost = 0
        self._file = path.open("ab", buffering=0)

    def feed(self, chunk: bytes) -> None:
        head, newline, rest = (self._rest + chunk).rpartition(b"\n")
        self._rest = rest
        if newline:
            self._write(head + newline)
        if len(self._rest) > LINE_MAX_BYTES:
            self.end_line()

    def end_line(self) -> None:
        """Write the rest of an unfinished line as a line, after its writer ended."""
        if self._rest:
            self._write(self._rest + b"\n")
            self._rest = b""

    def line(self, text: str) -> None:
        self.end_line()
        self._write(text.encode() + b"\n")

    def close(self) -> None:
        self.end_line()
        self._file.close()

    def _write(self, lines: bytes) -> None:
        lines = self._edit(lines)
        try:
            if self._file.tell() and self._file.tell() + len(lines) > self._max_bytes:
                self._rotate()
            if self._lost:
                self._file.write(b"(%d bytes of log lost: disk full)\n" % self._lost)
                self._lost = 0
            written = self._file.write(lines) or 0
            self._lost += len(lines) - written
        except OSError:
            self._lost += len(lines)

    def _rotate(self) -> None:
        for number in range(self._files - 2, -1, -1):
            if (older := self._numbered(number)).exists():
                older.replace(self._numbered(number + 1))
        fresh = self._path.open("ab", buffering=0)
        self._file.close()
        self._file = fresh

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def last_lines(path: Path, count: int = 5, *, max_bytes: int = 8192) -> list[str]:
    """Return the last lines of a log for an error message; empty without such a file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - max_bytes))
            return file.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []
