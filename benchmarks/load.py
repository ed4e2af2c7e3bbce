"""SMTP load generator without pipelining: concurrent sessions, or mails at a fixed rate."""

import asyncio
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from benchmarks.fixtures import Mail

Next = Callable[[], Mail | None]
OnReply = Callable[[Mail, bytes], None]


class Refused(Exception):
    """The server refused a mail."""


class Session(asyncio.Protocol):
    """One connection: sends the mails of `next_mail`, and passes each final reply to `on_reply`."""

    def __init__(self, next_mail: Next, on_reply: OnReply, *, keep_open: bool) -> None:
        self._dialogue = self._commands(next_mail, on_reply, keep_open=keep_open)
        next(self._dialogue)
        self._received = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _commands(
        self, next_mail: Next, on_reply: OnReply, *, keep_open: bool
    ) -> Generator[bytes, bytes, None]:
        """Yield commands and receive replies; the first reply is the greeting."""
        yield b""
        yield b"EHLO load.example\r\n"
        while (mail := next_mail()) is not None:
            yield b"MAIL FROM:<sender@example.org>\r\n"
            yield b"RCPT TO:<%b>\r\n" % mail.recipient.encode()
            yield b"DATA\r\n"
            on_reply(mail, (yield mail.data))
            if not keep_open:
                break
        yield b"QUIT\r\n"

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect a whole reply, then send the next command."""
        self._received += data
        last = self._received[self._received.rfind(b"\n", 0, -1) + 1 :]
        if not self._received.endswith(b"\n") or last[3:4] != b" ":
            return
        reply, self._received = self._received, b""
        if last[:1] not in b"23":
            self._end(Refused(last.decode(errors="replace").strip()))
            self._transport.abort()
            return
        try:
            self._transport.write(self._dialogue.send(reply))
        except StopIteration:
            self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)


async def send_all(
    port: int, next_mail: Next, on_reply: OnReply, *, keep_open: bool = False
) -> None:
    """Send the mails of `next_mail` over one connection. Raises Refused, or OSError."""
    loop = asyncio.get_running_loop()
    _, session = await loop.create_connection(
        lambda: Session(next_mail, on_reply, keep_open=keep_open), "127.0.0.1", port
    )
    await session.ended


async def flood(
    port: int, mails: Iterable[Mail], on_reply: OnReply, *, keep_open: bool, sessions: int
) -> None:
    """Send `mails` by `sessions` concurrent sessions.

    Without `keep_open`, each mail has a connection of its own.
    """
    rest = iter(mails)
    left = [True]

    def next_mail() -> Mail | None:
        mail = next(rest, None)
        left[0] = mail is not None
        return mail

    async def work() -> None:
        while left[0]:
            await send_all(port, next_mail, on_reply, keep_open=keep_open)

    await asyncio.gather(*(work() for _ in range(sessions)))


def until(ends_s: float, mail: Mail) -> Iterator[Mail]:
    """Repeat `mail` until the monotonic time `ends_s`."""
    while time.monotonic() < ends_s:
        yield mail


async def paced(port: int, mails: Iterable[Mail], on_reply: OnReply, *, per_s: float) -> int:
    """Send each mail at its time over a new connection, without waiting for the others.

    Return the number of refused mails: a server that is too slow may refuse some.
    """
    loop = asyncio.get_running_loop()
    began_s, refused = loop.time(), 0

    async def send(mail: Mail) -> None:
        nonlocal refused
        try:
            await send_all(port, iter([mail, None]).__next__, on_reply)
        except Refused:
            refused += 1

    async with asyncio.TaskGroup() as group:
        for number, mail in enumerate(mails):
            await asyncio.sleep(began_s + number / per_s - loop.time())
            group.create_task(send(mail))
    return refused
