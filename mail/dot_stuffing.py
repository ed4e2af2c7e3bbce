"""Dot-stuffing: a line of a dot ends a message in SMTP (RFC 5321 §4.5.2) and POP3 (RFC 1939 §3).

A stream of pieces goes through it, with one bit of state between pieces.
"""

END = b".\r\n"


class DotStuffing:
    """Doubles each dot at the start of a line, and ends the message.

    Pieces have CRLF line ends only, and no piece ends between CR and LF.
    """

    def __init__(self) -> None:
        self._at_line_start = True

    def feed(self, piece: bytes) -> bytes:
        """`piece` with doubled dots."""
        if not piece:
            return b""
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and piece.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_line_start = piece.endswith(b"\r\n")
        return stuffed

    def end(self) -> bytes:
        """The end of the message; CRLF before it if the last line has no line end."""
        return END if self._at_line_start else b"\r\n" + END
