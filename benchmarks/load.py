"""SMTP load: sessions that wait for each reply, as many at once as asked for, or mails on time."""

import asyncio
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from benchmarks.fixtures import Mail

Next = Callable[[], Mail | None]
Told = Callable[[Mail, bytes], None]


class Refused(Exception):
    """The server did not take a mail."""


class Session(asyncio.Protocol):
    """One connection: hands in what `take` gives, tells `told` each reply to a final dot."""

    def __init__(self, take: Next, told: Told, *, keep: bool) -> None:
        self._dialogue = self._speak(take, told, keep=keep)
        next(self._dialogue)
        self._got = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _speak(self, take: Next, told: Told, *, keep: bool) -> Generator[bytes, bytes, None]:
        """Gives commands, is sent replies; the first one is the greeting."""
        yield b""
        yield b"EHLO load.example\r\n"
        while (mail := take()) is not None:
            yield b"MAIL FROM:<sender@example.org>\r\n"
            yield b"RCPT TO:<%b>\r\n" % mail.recipient.encode()
            yield b"DATA\r\n"
            told(mail, (yield mail.data))
            if not keep:
                break
        yield b"QUIT\r\n"

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """One reply, whole, or nothing yet."""
        self._got += data
        last = self._got[self._got.rfind(b"\n", 0, -1) + 1 :]
        if not self._got.endswith(b"\n") or last[3:4] != b" ":
            return
        reply, self._got = self._got, b""
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


async def hand_in(port: int, take: Next, told: Told, *, keep: bool = False) -> None:
    """One connection, until it ends. Refused; OSError."""
    loop = asyncio.get_running_loop()
    _, session = await loop.create_connection(
        lambda: Session(take, told, keep=keep), "127.0.0.1", port
    )
    await session.ended


async def flood(port: int, mails: Iterable[Mail], told: Told, *, keep: bool, sessions: int) -> None:
    """Hand in all `mails`, `sessions` at a time; without `keep` each on a connection of its own."""
    rest = iter(mails)
    left = [True]

    def take() -> Mail | None:
        mail = next(rest, None)
        left[0] = mail is not None
        return mail

    async def work() -> None:
        while left[0]:
            await hand_in(port, take, told, keep=keep)

    await asyncio.gather(*(work() for _ in range(sessions)))


def until(ends_s: float, mail: Mail) -> Iterator[Mail]:
    """The same mail again and again, until the monotonic time `ends_s`."""
    while time.monotonic() < ends_s:
        yield mail


async def paced(port: int, mails: Iterable[Mail], told: Told, *, per_s: float) -> int:
    """Each mail at its time on a connection of its own, however long the others take.

    How many were refused: a server that cannot keep up says so, and that is a result.
    """
    loop = asyncio.get_running_loop()
    began_s, refused = loop.time(), 0

    async def one(mail: Mail) -> None:
        nonlocal refused
        try:
            await hand_in(port, iter([mail, None]).__next__, told)
        except Refused:
            refused += 1

    async with asyncio.TaskGroup() as group:
        for number, mail in enumerate(mails):
            await asyncio.sleep(began_s + number / per_s - loop.time())
            group.create_task(one(mail))
    return refused
