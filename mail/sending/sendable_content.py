"""Octets that may be sent as a mail's content (RFC 5321 §2.3.8, §4.5.3.1.6), checked as a stream.

Line ends are CRLF, lines have at most 998 octets, there is no NUL. Other octets are refused and
not repaired: servers disagree on bare CR and LF, which is how a mail hides a second mail, and a
repaired body no longer fits its DKIM signature. Linear time, memory of one chunk.
"""

from mail.errors import Refused

LINE_MAX_BYTES = 998  # without its CRLF (RFC 5322 §2.1.1)


class NotSendable(Refused):
    """The content cannot be sent as it is; `status` is an enhanced status code (RFC 3463)."""

    def __init__(self, detail: str, status: str = "5.6.0") -> None:
        super().__init__(detail)
        self.status = status


class ContentCheck:
    """Check of one content, chunk by chunk.

    `eight_bit`: whether octets beyond ASCII are announced (8BITMIME), and thus allowed.
    """

    def __init__(self, *, eight_bit: bool) -> None:
        self._eight_bit = eight_bit
        self._line_bytes = 0  # of the line that is not complete yet
        self._held = b""  # a CR at the end of a chunk, until its LF is seen

    def feed(self, chunk: bytes) -> bytes:
        """Return the checked octets: `chunk`, but for a CR at its end, which the next call returns.

        Raises NotSendable.
        """
        data = self._held + chunk
        self._held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(self._held)]
        if not self._eight_bit and not data.isascii():
            raise NotSendable("an octet beyond ASCII in a mail that is announced as 7bit", "5.6.3")
        if b"\0" in data:
            raise NotSendable("a NUL octet")
        line_ends = data.count(b"\r\n")
        if data.count(b"\r") != line_ends or data.count(b"\n") != line_ends:
            raise NotSendable("a CR or LF outside a CRLF")
        self._check_lines(data)
        return data

    def finish(self) -> bytes:
        """Return the CRLF that the last line lacks, or nothing. Raises NotSendable."""
        if self._held:
            raise NotSendable("a CR or LF outside a CRLF")
        return b"\r\n" if self._line_bytes else b""

    def _check_lines(self, data: bytes) -> None:
        """Go to the last line end within LINE_MAX_BYTES, again and again."""
        position, room = 0, LINE_MAX_BYTES - self._line_bytes
        while (end := data.rfind(b"\r\n", position, position + room + 2)) >= 0:
            position, room = end + 2, LINE_MAX_BYTES
        left = len(data) - position
        if left > room:
            raise NotSendable(f"a line of more than {LINE_MAX_BYTES} octets")
        self._line_bytes = LINE_MAX_BYTES - room + left
