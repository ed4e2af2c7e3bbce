"""A real POP3 server on free ports, over memory ports, and a client that checks every reply."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop

from edge.sign_in.login_limiter import LoginLimits
from mail.directory.app_passwords import new_app_password
from pop3.config import Pop3Config
from pop3.listener import Pop3Server
from pop3.ports import Pop3Ports
from schemas.directory import Domain, User
from schemas.mailbox import Message
from stores.memory import MemoryAttempts, MemoryDirectory
from tests.support.edge_world import World
from tests.support.sign_in import CountedHasher, authenticator_of, fast_hash

HOSTNAME = "pop.postriver.test"
ALICE, BOB = "alice@postriver.test", "bob@postriver.test"
PASSWORD = "correct horse"


def pytest_asyncio_loop_factories(config, item):
    """Every dialogue runs on asyncio and on uvloop: TLS and closing differ."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Client:
    """A raw client. Replies are whole lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> str:
        """The next line without CRLF; `closed` at the end."""
        line = await asyncio.wait_for(self.reader.readline(), 20)
        if not line:
            return "closed"
        assert line.endswith(b"\r\n"), line
        return line[:-2].decode()

    async def ask(self, command: str) -> str:
        await self.send(command.encode() + b"\r\n")
        return await self.line()

    async def lines(self) -> list[str]:
        """The lines behind `+OK`, up to the final dot, as they came."""
        lines: list[str] = []
        while (line := await self.line()) != ".":
            assert line != "closed", lines
            lines.append(line)
        return lines

    async def ask_lines(self, command: str) -> list[str]:
        reply = await self.ask(command)
        assert reply.startswith("+OK"), reply
        return await self.lines()

    async def sign_in(self, address: str = ALICE, password: str = PASSWORD) -> str:
        assert (await self.ask(f"USER {address}")).startswith("+OK")
        return await self.ask(f"PASS {password}")

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Rig:
    """Starts one server and clients, and stops them."""

    def __init__(self) -> None:
        self.world = World()  # its stores and its mailbox agent; its API is not started
        self.directory = MemoryDirectory()
        self.attempts = MemoryAttempts()  # leases of maildrops
        self.hasher = CountedHasher()
        self.limits = LoginLimits()
        self.server: Pop3Server
        self.clients: list[Client] = []

    async def add_users(self) -> None:
        domain = Domain(domain_id="d", name="postriver.test", created_at_ms=0)
        await self.directory.add_domain(domain, _user("postmaster"))
        for name in ("alice", "bob"):
            await self.directory.add_user(_user(name))

    async def serve(self, *, tls: ssl.SSLContext | None = None, **settings: Any) -> Pop3Server:
        world = self.world
        self.server = Pop3Server(
            Pop3Config(
                hostname=HOSTNAME, port=0, tls_port=0,
                **{"linger_s": 0.3, "check_s": 3600.0, **settings},
            ),
            ports=Pop3Ports(
                store=world.store, contents=world.contents, publisher=world.mailboxes,
                feed=world.feed, attempts=self.attempts,
            ),
            authenticator=authenticator_of(
                self.directory, MemoryAttempts(), self.limits, hasher=self.hasher, waiting_max=64
            ),
            tls=tls,
        )  # fmt: skip
        await self.server.start()
        return self.server

    async def dial(self, peer: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> Client:
        """A connection from `peer`, before its greeting is read."""
        port = self.server.tls_port if tls else self.server.port
        client = Client(
            *await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(peer, 0), ssl=tls, limit=1024 * 1024
            )
        )
        self.clients.append(client)
        return client

    async def connect(self, peer: str = "127.0.0.1") -> Client:
        client = await self.dial(peer)
        assert await client.line() == f"+OK {HOSTNAME} POP3 Postriver"
        return client

    async def signed(self, address: str = ALICE) -> Client:
        client = await self.connect()
        assert (await client.sign_in(address)).startswith("+OK")
        return client

    async def deliver(self, content: bytes, **fields: Any) -> Message:
        return await self.world.deliver(content, **fields)

    async def app_password(self, *scopes: str) -> str:
        row, secret = new_app_password("alice", "phone", scopes)
        await self.directory.add_app_password(row)
        return secret

    async def inbox(self) -> list[str]:
        return (await self.world.store.slots("alice", "inbox")).message_ids

    async def end(self) -> None:
        for client in self.clients:
            await client.close()
        await self.server.stop()
        stats = self.server.stats
        assert self.server.connections.open == 0
        assert (stats.maildrops, stats.held_messages) == (0, 0)


def _user(name: str) -> User:
    return User(
        user_id=name, domain_id="d", address=f"{name}@postriver.test", disabled=False,
        created_at_ms=0, password_hash=fast_hash(PASSWORD),
    )  # fmt: skip


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    mine = Rig()
    await mine.add_users()
    yield mine
    await mine.end()
