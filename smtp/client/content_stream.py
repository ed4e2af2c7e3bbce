"""The octets after DATA: prefix and content, checked, with dots stuffed (RFC 5321 §4.5.2)."""

from collections.abc import AsyncIterator

from mail.errors import ContentMissing
from mail.ports.mail_transport import Transmission
from mail.sending.sendable_content import ContentCheck


class DotStuffing:
    """Doubles the dot that begins a line, across blocks. Input: CRLF line ends only."""

    def __init__(self) -> None:
        self._end = b"\r\n"  # the last two octets before the next block

    def feed(self, block: bytes) -> bytes:
        """Return the octets to send for `block`."""
        stuffed = (self._end + block).replace(b"\r\n.", b"\r\n..")
        start, self._end = len(self._end), (self._end + block)[-2:]
        return stuffed[start:]


async def stuffed(transmission: Transmission, *, block_bytes: int) -> AsyncIterator[bytes]:
    """Yield the octets to send before the final dot; they end with CRLF, or are empty.

    Raises NotSendable; ContentMissing: the content ends before `size_bytes`; the errors of `read`.
    """
    check = ContentCheck(eight_bit=transmission.eight_bit)
    dots = DotStuffing()
    yield dots.feed(check.feed(transmission.prefix))
    start = 0
    while start < transmission.size_bytes:
        block = await transmission.read(start, min(block_bytes, transmission.size_bytes - start))
        if not block:
            raise ContentMissing(transmission.mail_id)
        start += len(block)
        yield dots.feed(check.feed(block))
    yield dots.feed(check.finish())
