"""Search for the delimiter lines of a multipart (RFC 2046 §5.1.1), with limits for one mail.

Limits: DELIMITERS_MAX possible delimiters, and SCANS_MAX times the size of the mail searched.
Beyond a limit the search is `exhausted` and finds no more. Linear time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

DELIMITERS_MAX = 20_000
SCANS_MAX = 20  # levels of the tree that may each be as large as the mail
_SCAN_MIN_BYTES = 1024 * 1024


@dataclass(slots=True, frozen=True)
class _Delimiter:
    start: int
    line_end: int
    closes: bool


class DelimiterSearch:
    """The search in one mail; the limits hold for all its multiparts together."""

    def __init__(self, size_bytes: int) -> None:
        self._comparisons_left = DELIMITERS_MAX
        self._scan_left_bytes = SCANS_MAX * size_bytes + _SCAN_MIN_BYTES

    @property
    def exhausted(self) -> bool:
        """Whether a limit was exceeded: delimiters may be missing."""
        return self._comparisons_left <= 0 or self._scan_left_bytes < 0

    def spans(
        self, octets: bytes, boundary: str, start: int, stop: int
    ) -> Iterator[tuple[int, int]]:
        """Iterate over the spans of the parts in the body of a multipart, from `start` to `stop`.

        The line end before a delimiter is part of the delimiter.
        """
        opened = -1
        delimiter = b"--" + boundary.encode("utf-8", "replace")
        for line in self._find(octets, delimiter, start, stop):
            if opened >= 0:
                yield opened, _before_line_end(octets, opened, line.start)
            opened = -1 if line.closes else line.line_end
            if line.closes:
                return
        if opened >= 0:
            yield opened, stop

    def _find(self, octets: bytes, delimiter: bytes, start: int, stop: int) -> Iterator[_Delimiter]:
        self._scan_left_bytes -= stop - start
        position = start
        while not self.exhausted:
            match = octets.find(delimiter, position, stop)
            if match < 0:
                return
            self._comparisons_left -= 1
            line_end = octets.find(b"\n", match, stop) + 1 or stop
            rest = octets[match + len(delimiter) : line_end].rstrip()
            begins_line = match == start or octets[match - 1 : match] == b"\n"
            if begins_line and rest in (b"", b"--"):
                yield _Delimiter(match, line_end, closes=rest == b"--")
            position = line_end


def _before_line_end(octets: bytes, opened: int, start: int) -> int:
    end = start - 1 if start > opened else start
    return end - 1 if end > opened and octets[end - 1 : end] == b"\r" else end
