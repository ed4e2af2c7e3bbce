"""Messages on the wire: CRLF line ends and the cut of TOP (RFC 1939 §7); pure.

A stream of pieces of any size goes through each step, with a few bytes of state between pieces.
"""

import re

_BARE_LF = re.compile(rb"(?<!\r)\n")


class LineEnds:
    """Replaces each LF without CR by CRLF. No piece that `feed` returns ends between CR and LF.

    Stored contents have CRLF: the SMTP server refuses others, and notices are written with CRLF.
    """

    def __init__(self) -> None:
        self._held = b""  # a CR at the end of the last piece

    def feed(self, piece: bytes) -> bytes:
        """The next bytes with CRLF line ends."""
        data = self._held + piece
        self._held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(self._held)]
        if data.count(b"\n") != data.count(b"\r\n"):
            data = _BARE_LF.sub(b"\r\n", data)
        return data

    def end(self) -> bytes:
        """What was held back: a CR without LF."""
        held, self._held = self._held, b""
        return held


class TopCut:
    """Passes the header, the empty line behind it, and the first `body_lines` lines of the body.

    Pieces are those of LineEnds.
    """

    def __init__(self, body_lines: int) -> None:
        self.is_complete = False  # later pieces add nothing
        self._left = body_lines
        self._in_header = True
        self._at_line_start = True

    def feed(self, piece: bytes) -> bytes:
        """The part of `piece` to send."""
        if self.is_complete or not piece:
            return b""
        start = self._header_end(piece) if self._in_header else 0
        end = len(piece) if self._in_header else self._body_end(piece, start)
        self._at_line_start = piece.endswith(b"\r\n")
        return piece[:end]

    def _header_end(self, piece: bytes) -> int:
        """The index behind the empty line, which ends the header; 0 if it is not in `piece`."""
        if self._at_line_start and piece.startswith(b"\r\n"):
            end = 2
        else:
            end = piece.find(b"\r\n\r\n") + 4
        self._in_header = end < 4 and end != 2
        return 0 if self._in_header else end

    def _body_end(self, piece: bytes, start: int) -> int:
        """The index behind the last line to send; counts the lines of `piece` from `start`."""
        lines = piece.count(b"\n", start)
        if lines < self._left:
            self._left -= lines
            return len(piece)
        end = start
        for _ in range(self._left):
            end = piece.index(b"\n", end) + 1
        self._left, self.is_complete = 0, True
        return end
