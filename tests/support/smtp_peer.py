"""A scripted SMTP server: a correct one by default, and wrong in any way at any step.

`actions[STEP]` replaces the answer at a step: a reply line, raw octets, DROP, HANG, NORMAL, or a
coroutine function of the connection. STEPS: GREETING, EHLO, HELO, STARTTLS, AUTH, MAIL, RCPT, DATA,
CONTENT (amid the content), DOT, RSET, QUIT. Actions in a list are used up, the last one stays.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

DROP = "DROP"
HANG = "HANG"
NORMAL = "NORMAL"  # the answer of a correct server
TAKEN = "250 2.0.0 taken"
Action = Any  # str, bytes, or Callable[[Connection], Awaitable[None]]
EXTENSIONS = ("PIPELINING", "SIZE 10485760", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


@dataclass(frozen=True, slots=True)
class Received:
    reverse_path: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool = False


@dataclass
class SmtpPeer:
    actions: dict[str, Action] = field(default_factory=dict)
    extensions: tuple[str, ...] = EXTENSIONS
    tls: ssl.SSLContext | None = None  # offers STARTTLS
    implicit_tls: bool = False
    refused: dict[str, str] = field(default_factory=dict)  # RCPT by address: the reply
    recipients_max: int = 1000
    received: list[Received] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # every command of every connection
    connections: int = 0
    open_now: int = 0
    open_most: int = 0
    port: int = 0

    def action(self, step: str, default: Action) -> Action:
        action = self.actions.get(step, default)
        if isinstance(action, list):
            action = action.pop(0) if len(action) > 1 else action[0]
        return default if action == NORMAL else action

    def verbs(self) -> list[str]:
        return [line.split(" ")[0].upper() for line in self.lines]


class _Over(Exception):
    """The connection ends here."""


class Connection:
    def __init__(
        self, peer: SmtpPeer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.peer, self.reader, self.writer = peer, reader, writer
        self.encrypted = peer.implicit_tls
        self.clear()

    def clear(self) -> None:
        self.reverse_path: str | None = None
        self.recipients: list[str] = []

    async def act(self, step: str, default: Action) -> bool:
        """Answer at `step`; return whether the answer was the default."""
        action = self.peer.action(step, default)
        if action == DROP:
            self.writer.transport.abort()
            raise _Over
        if action == HANG:
            await self.reader.read(1 << 20)
            await asyncio.sleep(60)
        elif callable(action):
            await action(self)
        else:
            octets = action if isinstance(action, bytes) else f"{action}\r\n".encode()
            self.writer.write(octets)
            await self.writer.drain()
        return action is default

    async def talk(self) -> None:
        await self.act("GREETING", "220 peer.test ESMTP")
        while line := await self.reader.readline():
            command = line.decode(errors="replace").rstrip("\r\n")
            self.peer.lines.append(command)
            verb = command.split(" ")[0].upper()
            handler = getattr(self, f"on_{verb.lower()}", None)
            if handler is None:
                await self.act(verb, "500 5.5.1 what?")
            else:
                await handler(command)

    async def on_ehlo(self, command: str) -> None:
        offered = list(self.peer.extensions)
        if self.peer.tls and not self.encrypted:
            offered.append("STARTTLS")
        lines = ["peer.test hello", *offered]
        text = "".join(f"250-{each}\r\n" for each in lines[:-1]) + f"250 {lines[-1]}"
        await self.act("EHLO", text)

    async def on_helo(self, command: str) -> None:
        await self.act("HELO", "250 peer.test")

    async def on_starttls(self, command: str) -> None:
        if await self.act("STARTTLS", "220 go ahead") and self.peer.tls:
            await self.writer.start_tls(self.peer.tls)
            self.reader._transport = self.writer.transport
            self.encrypted = True

    async def on_auth(self, command: str) -> None:
        if command.upper() == "AUTH LOGIN":
            for prompt in ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"):
                await self.act("LOGIN", prompt)
                self.peer.lines.append((await self.reader.readline()).decode().rstrip("\r\n"))
        await self.act("AUTH", "235 2.7.0 welcome")

    async def on_mail(self, command: str) -> None:
        if await self.act("MAIL", "250 2.1.0 sender"):
            self.clear()
            self.reverse_path = re.match(r"MAIL FROM:<(.*?)>", command)[1]

    async def on_rcpt(self, command: str) -> None:
        address = re.match(r"RCPT TO:<(.*?)>", command)[1]
        if self.reverse_path is None:
            await self.act("EARLY", "503 5.5.1 MAIL first")
        elif address in self.peer.refused:
            await self.act("REFUSED", self.peer.refused[address])
        elif len(self.recipients) == self.peer.recipients_max:
            await self.act("MANY", "452 4.5.3 too many recipients")
        elif await self.act("RCPT", "250 2.1.5 recipient"):
            self.recipients.append(address)

    async def on_data(self, command: str) -> None:
        if not await self.act("DATA", "354 go"):
            return
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise _Over
            if not lines and "CONTENT" in self.peer.actions:
                await self.act("CONTENT", None)
            assert line.endswith(b"\r\n")
            assert b"\r" not in line[:-2]
            lines.append(line.removeprefix(b"."))
        content = b"".join(lines)
        mail = Received(self.reverse_path, tuple(self.recipients), content, self.encrypted)
        if not self.refuses_dot():
            self.peer.received.append(mail)
        self.clear()
        await self.act("DOT", TAKEN)

    def refuses_dot(self) -> bool:
        action = self.peer.actions.get("DOT", TAKEN)
        first = action[0] if isinstance(action, list) else action
        return first == DROP or (isinstance(first, str) and first[0] in "45")

    async def on_rset(self, command: str) -> None:
        self.clear()
        await self.act("RSET", "250 2.0.0 reset")

    async def on_quit(self, command: str) -> None:
        await self.act("QUIT", "221 2.0.0 bye")
        raise _Over


@contextlib.asynccontextmanager
async def peer_serving(**fields: Any) -> AsyncIterator[SmtpPeer]:
    """A peer on a free port of 127.0.0.1; its connections end with the block."""
    peer = SmtpPeer(**fields)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        peer.connections += 1
        peer.open_now += 1
        peer.open_most = max(peer.open_most, peer.open_now)
        try:
            with contextlib.suppress(_Over, OSError, EOFError):
                await Connection(peer, reader, writer).talk()
        finally:
            peer.open_now -= 1
            writer.close()

    server = await asyncio.start_server(
        serve, "127.0.0.1", 0, ssl=peer.tls if peer.implicit_tls else None, limit=1 << 20
    )
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


Answering = Callable[[Connection], Awaitable[None]]
