"""Parsers of the mail data of DATA (RFC 5321 §4.1.1.4, §4.5.2) and of BDAT (RFC 3030); pure.

Both are fed in pieces and have the same checks.

aiosmtpd reads line by line: 20 MB of short lines hold the event loop for seconds. This parser
checks a piece by a few searches in C, and copies its bytes once. The result does not depend on how
the bytes were split. Only CR LF . CR LF ends a mail; a mail with a bare CR or LF is refused.
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
    """Reason to refuse a mail, the gravest first."""

    TOO_BIG = 1
    BARE = 2  # CR without LF or LF without CR (RFC 5321 §2.3.8)
    LONG_LINE = 3
    LOOP = 4
    BUSY = 5


class MailReader:
    """Checks the octets of a mail and keeps them; `content` is `prefix` and the mail.

    The bytes of a mail that is too big are dropped, and reading goes on to the end of the mail.
    Beyond twice the limit, in bytes on the wire, `cut` is set: the connection should be closed.
    """

    def __init__(
        self, prefix: bytes, *, max_bytes: int, line_max_bytes: int, received_max: int
    ) -> None:
        self.cut = False
        self.size_bytes = 0  # of the mail data, without `prefix`
        self._content: io.BytesIO | None = io.BytesIO()
        self._content.write(prefix)
        self._max_bytes = max_bytes
        self._line_max_bytes = line_max_bytes
        self._received_max = received_max
        self._piece_bytes = min(PIECE_MAX_BYTES, line_max_bytes)
        self._wire_bytes = 0
        self._line_bytes = 0  # of the unfinished line at the end of the last piece
        self._header_tail: bytes | None = CRLF  # None: past the header
        self._received = 0
        self._faults: set[DataFault] = set()

    @property
    def fault(self) -> DataFault | None:
        """The gravest fault, None without any; final once `ended`."""
        return min(self._faults, key=lambda fault: fault.value, default=None)

    @property
    def dropped(self) -> bool:
        return self._content is None

    def content(self) -> bytes:
        """`prefix` and the mail; empty when dropped. Does not copy: BytesIO gives its buffer."""
        return self._content.getvalue() if self._content else b""

    def drop(self, fault: DataFault) -> None:
        """Record `fault` and drop the bytes of this mail, now and later."""
        self._faults.add(fault)
        self._content = None

    def _may_keep(self, wire_bytes: int) -> bool:
        """Count bytes on the wire; whether they are to be checked and kept."""
        self._wire_bytes += wire_bytes
        self.cut = self._wire_bytes > 2 * self._max_bytes
        return not self.cut and DataFault.TOO_BIG not in self._faults

    def _check(self, plain: bytes) -> None:
        """Check and keep octets of the mail, which do not end between CR and LF."""
        if _has_bare(plain):
            self.drop(DataFault.BARE)
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
        """Count the bytes of lines: only a line that began in an earlier piece can be too long."""
        first = plain.find(CRLF)
        self._line_bytes += len(plain) if first < 0 else first
        if self._line_bytes > self._line_max_bytes:
            self.drop(DataFault.LONG_LINE)
        if first >= 0:
            self._line_bytes = len(plain) - plain.rfind(CRLF) - len(CRLF)

    def _read_header(self, window: bytes) -> None:
        """Count Received: fields. The tail that is kept is shorter than one field name."""
        end = window.find(_HEADER_END)
        header = window if end < 0 else window[:end]
        self._received += header.lower().count(_RECEIVED)
        self._header_tail = window[1 - len(_RECEIVED) :] if end < 0 else None
        if self._received > self._received_max:
            self.drop(DataFault.LOOP)


class DataReader(MailReader):
    """Incremental parser of DATA: finds the end of the mail, and removes dot stuffing."""

    def __init__(
        self, prefix: bytes, *, max_bytes: int, line_max_bytes: int, received_max: int
    ) -> None:
        super().__init__(
            prefix, max_bytes=max_bytes, line_max_bytes=line_max_bytes, received_max=received_max
        )
        self.ended = False
        self.rest = b""  # bytes after the end of the mail: the client's next commands
        self._held = CRLF  # the CR LF of the DATA command itself: the first line may be the end
        self._first = True

    def feed(self, chunk: bytes) -> None:
        """Parse any number of bytes. No piece is longer than a line may be."""
        for start in range(0, len(chunk), self._piece_bytes):
            self._parse(chunk[start : start + self._piece_bytes])
            if self.ended or self.cut:
                self.rest += chunk[start + self._piece_bytes :]
                return

    def _parse(self, piece: bytes) -> None:
        window = self._held + piece if self._held else piece
        end = window.find(END)
        if end >= 0:
            self.ended = True
            self.rest = window[end + len(END) :]
            self._unstuff(window[: end + len(CRLF)])
            return
        kept = _open_end(window)
        self._held = window[len(window) - kept :]
        self._unstuff(window[: len(window) - kept] if kept else window)

    def _unstuff(self, wire: bytes) -> None:
        """Take `wire`, which ends in CR or CR LF only at the end of the mail."""
        if not wire or not self._may_keep(len(wire)):
            return
        plain = wire.replace(_STUFFED, CRLF) if wire.find(_STUFFED) >= 0 else wire
        if self._first:
            self._first = False
            plain = plain[len(CRLF) :]
        self._check(plain)


class ChunkedMailReader(MailReader):
    """Reader of a mail whose octets come as they are, in chunks of announced sizes."""

    _held = b""  # a CR at the end of the last piece

    def feed(self, chunk: bytes) -> None:
        """Take any number of bytes. No piece is longer than a line may be."""
        for start in range(0, len(chunk), self._piece_bytes):
            window = self._held + chunk[start : start + self._piece_bytes]
            self._held = b"\r" if window.endswith(b"\r") else b""
            plain = window.removesuffix(b"\r")
            if plain and self._may_keep(len(plain)):
                self._check(plain)

    def finish(self) -> None:
        """The last chunk has come."""
        if self._held:
            self.drop(DataFault.BARE)


def _has_bare(wire: bytes) -> bool:
    """Whether CR or LF occurs outside of CR LF. Twice as fast as counting all three."""
    rest = wire.replace(CRLF, b"")
    return b"\r" in rest or b"\n" in rest


def _open_end(window: bytes) -> int:
    """The number of last bytes that may begin END."""
    for length in range(len(END) - 1, 0, -1):
        if window.endswith(END[:length]):
            return length
    return 0
