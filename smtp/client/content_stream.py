"""The octets after DATA: prefix and content, checked, with dots stuffed (RFC 5321 §4.5.2)."""

from collections.abc import AsyncIterator

from mail.dot_stuffing import DotStuffing
from mail.errors import ContentMissing
from mail.ports.mail_transport import Transmission
from mail.sending.sendable_content import ContentCheck


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
