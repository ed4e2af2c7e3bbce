"""Stream reader of one connection: asyncio's, with unread, discard, resizing and whole lines."""

import asyncio


class LineReader(asyncio.StreamReader):
    """asyncio.StreamReader that takes bytes back and whose limit can change."""

    def unread(self, data: bytes) -> None:
        """Put `data` back: the next read begins with it."""
        self._buffer[:0] = data  # type: ignore[attr-defined]

    def discard(self) -> None:
        """Drop all buffered bytes."""
        self._buffer.clear()  # type: ignore[attr-defined]
        self._maybe_resume_transport()  # type: ignore[attr-defined]

    @property
    def has_data(self) -> bool:
        """Whether bytes have come that were not read."""
        return bool(self._buffer)  # type: ignore[attr-defined]

    def resize(self, limit_bytes: int) -> None:
        """Set the longest line; reading from the client pauses at twice as many buffered bytes."""
        self._limit = limit_bytes

    def move_to(self, transport: asyncio.Transport) -> None:
        """Read from `transport` from now on: flow control applies to it."""
        self._transport = transport

    async def line(self) -> bytes | None:
        """The next line with its LF; None for a line beyond the limit, which is dropped.

        Raises EOFError: the stream ended.
        """
        try:
            return await self.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            beyond_bytes = error.consumed
        while True:
            await self.readexactly(beyond_bytes)
            try:
                await self.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                beyond_bytes = error.consumed
            else:
                return None
