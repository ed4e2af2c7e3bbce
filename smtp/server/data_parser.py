"""The mail data of DATA, read in pieces (RFC 5321 §4.1.1.4, §4.5.2), pure.

aiosmtpd reads line by line: 20 MB of short lines hold its loop for seconds. Here a piece is judged
by a few searches in C, and its bytes are copied once. The result does not depend on how the bytes
were split. Only CR LF . CR LF ends a mail; whatever looks like another ending makes it refused.
"""

import io
from enum import Enum

CRLF = b"\r\n"
END = b"\r\n.\r\n"
_STUFFED = b"\r\n."
_RECEIVED = b"\r\nreceived:"
_HEADER_END = b"\r\n\r\n"
PIECE_MAX_BYTES = 256 * 1024


class DataFault(Enum):
    """Why a mail is refused, the gravest first."""

    TOO_BIG = 1
    BARE = 2  # CR without LF or LF without CR (RFC 5321 §2.3.8)
    LONG_LINE = 3
    LOOP = 4
    BUSY = 5


class DataReader:
    """Takes mail data as it comes; `content` is what it was before dots were stuffed.

    `prefix` is put before it. When a mail is too big its bytes are dropped and the end is still
    looked for; beyond twice the limit, counted as on the wire, `cut` says that it is not worth it.
    """

    def __init__(
        self, prefix: bytes, *, max_bytes: int, line_max_bytes: int, received_max: int
    ) -> None:
        self.ended = False
        self.cut = False
        self.rest = b""  # what came after the end: the client's next commands
        self.size_bytes = 0  # of the mail data, without `prefix`
        self._content: io.BytesIO | None = io.BytesIO()
        self._content.write(prefix)
        self._max_bytes = max_bytes
        self._line_max_bytes = line_max_bytes
        self._received_max = received_max
        self._piece_bytes = min(PIECE_MAX_BYTES, line_max_bytes)
        self._held = CRLF  # the CR LF of the DATA command itself: the first line may be the end
        self._first = True
        self._wire_bytes = 0
        self._line_bytes = 0  # of the line that the last piece left open
        self._header_tail: bytes | None = CRLF  # None: past the header
        self._received = 0
        self._faults: set[DataFault] = set()

    @property
    def fault(self) -> DataFault | None:
        """The gravest one, known when `ended`."""
        return min(self._faults, key=lambda fault: fault.value, default=None)

    @property
    def dropped(self) -> bool:
        return self._content is None

    def content(self) -> bytes:
        """`prefix` and the mail; empty when dropped. Copies nothing: BytesIO gives its buffer."""
        return self._content.getvalue() if self._content else b""

    def drop(self, fault: DataFault) -> None:
        """Keep no bytes of this mail any more."""
        self._faults.add(fault)
        self._content = None

    def feed(self, chunk: bytes) -> None:
        """Take any number of bytes. Pieces are so short that no whole line in one is too long."""
        for start in range(0, len(chunk), self._piece_bytes):
            self._take(chunk[start : start + self._piece_bytes])
            if self.ended or self.cut:
                self.rest += chunk[start + self._piece_bytes :]
                return

    def _take(self, piece: bytes) -> None:
        window = self._held + piece if self._held else piece
        end = window.find(END)
        if end >= 0:
            self.ended = True
            self.rest = window[end + len(END) :]
            self._judge(window[: end + len(CRLF)])
            return
        kept = _open_end(window)
        self._held = window[len(window) - kept :]
        self._judge(window[: len(window) - kept] if kept else window)

    def _judge(self, wire: bytes) -> None:
        """`wire` never ends within a CR LF or right after one, except at the end of the mail."""
        if not wire:
            return
        self._wire_bytes += len(wire)
        self.cut = self._wire_bytes > 2 * self._max_bytes
        if self.cut or DataFault.TOO_BIG in self._faults:
            return
        if _has_bare(wire):
            self.drop(DataFault.BARE)
        plain = wire.replace(_STUFFED, CRLF) if wire.find(_STUFFED) >= 0 else wire
        if self._first:
            self._first = False
            plain = plain[len(CRLF) :]
        self._measure_line(plain)
        if self._header_tail is not None:
            self._read_header(self._header_tail + plain)
        self._keep(plain)

    def _keep(self, plain: bytes) -> None:
        self.size_bytes += len(plain)
        if self.size_bytes > self._max_bytes:
            self.drop(DataFault.TOO_BIG)
        if self._content is not None:
            self._content.write(plain)

    def _measure_line(self, plain: bytes) -> None:
        """Only a line that began in an earlier piece can be too long."""
        first = plain.find(CRLF)
        self._line_bytes += len(plain) if first < 0 else first
        if self._line_bytes > self._line_max_bytes:
            self.drop(DataFault.LONG_LINE)
        if first >= 0:
            self._line_bytes = len(plain) - plain.rfind(CRLF) - len(CRLF)

    def _read_header(self, window: bytes) -> None:
        """Count Received: fields. The tail kept is too short to hold one that was counted."""
        end = window.find(_HEADER_END)
        header = window if end < 0 else window[:end]
        self._received += header.lower().count(_RECEIVED)
        self._header_tail = window[1 - len(_RECEIVED) :] if end < 0 else None
        if self._received > self._received_max:
            self.drop(DataFault.LOOP)


def _has_bare(wire: bytes) -> bool:
    """CR or LF outside of a CR LF. Faster by half than to count all three."""
    letters = wire.replace(CRLF, b"")
    return b"\r" in letters or b"\n" in letters


def _open_end(window: bytes) -> int:
    """How many of the last bytes may be the beginning of the end."""
    for length in range(len(END) - 1, 0, -1):
        if window.endswith(END[:length]):
            return length
    return 0
