"""A real SMTP server on a free port, over memory ports, and a client that checks every reply."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop

from mail.directory.quotas import StoredQuotaCheck
from mail.directory.recipient_resolver import DirectoryResolver
from schemas.directory import Domain, Quota, User
from schemas.events.mail import MailReceived
from schemas.mailbox import Usage
from smtp.server.config import SmtpConfig
from smtp.server.listener import SmtpServer
from stores.memory.content_store import MemoryContentStore
from stores.memory.directory import MemoryDirectory
from stores.memory.mail_store import MemoryMailStore
from stores.memory.streams import MemoryPublisher

HOSTNAME = "mx.postriver.test"
CODED = re.compile(r"([245])\d\d[ -]([245])\.\d{1,3}\.\d{1,3} \S")


def pytest_asyncio_loop_factories(config, item):
    """Every dialogue runs on asyncio and on uvloop: TLS and closing differ."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class SlowPublisher(MemoryPublisher):
    """Waits for `open` before it acknowledges."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.asked = 0

    async def publish(self, *events) -> None:
        self.asked += 1
        await self.open.wait()
        await super().publish(*events)


class SettableGate:
    def __init__(self) -> None:
        self.reason: str | None = None

    def closed(self) -> str | None:
        return self.reason


class Filled(MemoryMailStore):
    """A mail store that knows only the usage of mailboxes and domains."""

    def __init__(self) -> None:
        super().__init__()
        self.used: dict[str, Usage] = {}
        self.asked: list[str] = []

    async def usage(self, user_id: str) -> Usage:
        await super().usage(user_id)
        self.asked.append(user_id)
        return self.used.get(user_id, Usage())

    domain_usage = usage


class Client:
    """A raw client. `reply` asserts that a reply is whole and carries an enhanced code."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, *, coded: bool = True) -> str:
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 20)).decode()
            if not line:
                return "closed"
            assert line.endswith("\r\n"), line
            lines.append(line[:-2])
            if line[3] == " ":
                break
        text = "\n".join(lines)
        if coded and not text.startswith("3"):
            found = CODED.match(text)
            assert found, f"no enhanced code: {text}"
            assert found[1] == found[2], text
        return text

    async def ask(self, line: str, *, coded: bool = True) -> str:
        await self.send(line.encode() + b"\r\n")
        return await self.reply(coded=coded)

    async def greet(self, name: str = "client.example") -> str:
        return await self.ask(f"EHLO {name}", coded=False)

    async def begin(self, *recipients: str, sender: str = "s@remote.example") -> None:
        """Begin a mail, up to the 354 of DATA."""
        await self.greet()
        assert (await self.ask(f"MAIL FROM:<{sender}>")).startswith("250 ")
        for recipient in recipients or ("alice@postriver.test",):
            assert (await self.ask(f"RCPT TO:<{recipient}>")).startswith("250 ")
        assert (await self.ask("DATA")).startswith("354 ")

    async def send_mail(self, wire: bytes, *recipients: str) -> str:
        """The reply to the final dot, which `wire` includes."""
        await self.begin(*recipients)
        await self.send(wire)
        return await self.reply()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Rig:
    """Starts servers and clients, and stops them."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self.directory = directory
        self.publisher = SlowPublisher()
        self.contents: Any = MemoryContentStore()
        self.gate = SettableGate()
        self.store = Filled()
        self.default_quota = Quota()
        self.server: SmtpServer | None = None
        self.clients: list[Client] = []

    async def serve(self, *, tls: ssl.SSLContext | None = None, **settings: Any) -> SmtpServer:
        self.server = SmtpServer(
            SmtpConfig(
                hostname=HOSTNAME, port=0, **{"linger_s": 0.3, "unknown_delay_s": 0.0, **settings}
            ),
            resolver=DirectoryResolver(self.directory, HOSTNAME),
            room=StoredQuotaCheck(self.store, self.default_quota),
            publisher=self.publisher,
            contents=self.contents,
            gate=self.gate,
            tls=tls,
        )
        await self.server.start()
        return self.server

    async def dial(self, peer: str = "127.0.0.1") -> Client:
        """A connection from `peer`, before its greeting is read."""
        assert self.server is not None
        client = Client(
            *await asyncio.open_connection("127.0.0.1", self.server.port, local_addr=(peer, 0))
        )
        self.clients.append(client)
        return client

    async def connect(self, peer: str = "127.0.0.1") -> Client:
        client = await self.dial(peer)
        assert (await client.reply(coded=False)).startswith(f"220 {HOSTNAME} ESMTP")
        return client

    def mails(self) -> list[MailReceived]:
        events = self.publisher.events
        assert all(isinstance(event, MailReceived) for event in events)
        return events  # type: ignore[return-value]

    async def bytes_of(self, mail: MailReceived) -> bytes:
        """The content of an accepted mail without its trace header."""
        content = mail.content
        data = content.data if hasattr(content, "data") else await self.contents.get(content.ref)
        return data[mail.trace_size_bytes :]

    async def end(self) -> None:
        for client in self.clients:
            await client.close()
        if self.server is not None:
            await self.server.stop()
            stats = self.server.stats
            assert self.server.connections.open == 0
            assert (stats.data_in_progress, stats.held_bytes) == (0, 0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    directory = MemoryDirectory()
    domain = Domain(domain_id="d1", name="postriver.test", created_at_ms=1)

    def user(name: str) -> User:
        return User(
            user_id=f"u-{name}",
            domain_id="d1",
            address=f"{name}@postriver.test",
            disabled=False,
            created_at_ms=1,
        )

    await directory.add_domain(domain, user("postmaster"))
    for name in ("alice", "bob", "누구"):
        await directory.add_user(user(name))
    made = Rig(directory)
    yield made
    await made.end()
