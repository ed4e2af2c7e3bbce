"""The stream of one connection: asyncio's, with what a dialogue needs besides."""

import asyncio


class SmtpStreamReader(asyncio.StreamReader):
    """A stream that takes bytes back and whose buffer can be sized to what is being read."""

    def unread(self, data: bytes) -> None:
        """The next read begins with `data`."""
        self._buffer[:0] = data  # type: ignore[attr-defined]

    def discard(self) -> None:
        """Forget what has come and was not read."""
        self._buffer.clear()  # type: ignore[attr-defined]
        self._maybe_resume_transport()  # type: ignore[attr-defined]

    def resize(self, limit_bytes: int) -> None:
        """The longest line, and half of what is buffered before the client is slowed down."""
        self._limit = limit_bytes

    def move_to(self, transport: asyncio.Transport) -> None:
        """Slow down `transport` from now on: the stream goes on over it."""
        self._transport = transport

    async def line(self) -> bytes | None:
        """Up to LF; None for one longer than the limit, read away. EOFError at the end."""
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
