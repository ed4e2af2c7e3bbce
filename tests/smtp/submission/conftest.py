"""A real submission server on free ports, over memory ports, and clients that check every reply."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop

from edge.deposits.room import OwnerRoom
from edge.self_signed_certificate import ensure_own
from edge.sending_limiter import SendingLimiter
from edge.sign_in.login_limiter import LoginLimits
from edge.tls_certificate import context
from mail.directory.app_passwords import new_app_password
from mail.directory.quotas import StoredQuotaCheck
from mail.directory.recipient_resolver import DirectoryResolver
from mail.sending.own_limits import OwnLimits
from mail.sending.relay_setting import RelaySetting
from mail.sending.sender_check import SenderCheck
from mail.sending.sending_limits import SendingLimits
from schemas.directory import Alias, Domain, Quota, User
from schemas.events.sending import Submit
from smtp.submission.config import SubmissionConfig
from smtp.submission.listener import SubmissionServer
from smtp.submission.ports import MsaPorts
from stores.memory import MemoryAttempts, MemoryDirectory, MemoryUploads
from stores.memory.content_store import MemoryContentStore
from stores.memory.submissions import MemorySubmissions
from tests.smtp.server.conftest import Client, Filled, SettableGate, SlowPublisher
from tests.smtp.server.test_starttls import encrypt, trusting
from tests.support.sign_in import CountedHasher, authenticator_of, fast_hash

HOSTNAME = "mx.postriver.test"
ALICE, BOB = "alice@postriver.test", "bob@postriver.test"
PASSWORD = "correct horse"
MAIL = b"From: Alice <alice@postriver.test>\r\nSubject: hi\r\n\r\nhello\r\n"


def pytest_asyncio_loop_factories(config, item):
    """Every dialogue runs on asyncio and on uvloop: TLS and closing differ."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def plain(address: str, password: str) -> str:
    return base64.b64encode(f"\0{address}\0{password}".encode()).decode()


class Rig:
    """Starts one server and clients, and stops them."""

    def __init__(self) -> None:
        self.directory = MemoryDirectory()
        self.hasher = CountedHasher()
        self.publisher = SlowPublisher()
        self.contents: Any = MemoryContentStore()
        self.submissions = MemorySubmissions()
        self.store = Filled()
        self.gate = SettableGate()
        self.server: SubmissionServer
        self.clients: list[Client] = []
        self.tls: ssl.SSLContext

    async def add_users(self) -> None:
        domain = Domain(domain_id="d", name="postriver.test", created_at_ms=0)
        await self.directory.add_domain(domain, _user("postmaster"))
        for name in ("alice", "bob"):
            await self.directory.add_user(_user(name))
        for name, targets, is_group in (("sales", (ALICE,), False), ("team", (ALICE, BOB), True)):
            await self.directory.add_alias(
                Alias(
                    address=f"{name}@postriver.test", domain_id="d", is_group=is_group,
                    targets=targets, created_at_ms=0,
                )
            )  # fmt: skip

    async def serve(
        self,
        *,
        relay: str = "off",
        limits: SendingLimits | None = None,
        quota: Quota | None = None,
        **settings: Any,
    ) -> SubmissionServer:
        self.limiter = SendingLimiter(
            self.submissions, OwnLimits(self.directory, limits or SendingLimits())
        )
        self.server = SubmissionServer(
            SubmissionConfig(
                hostname=HOSTNAME, port=0, tls_port=0, **{"linger_s": 0.3, **settings}
            ),
            ports=MsaPorts(
                authenticator=authenticator_of(
                    self.directory, MemoryAttempts(), LoginLimits(), hasher=self.hasher,
                    waiting_max=64,
                ),
                resolver=DirectoryResolver(self.directory, HOSTNAME),
                room=StoredQuotaCheck(self.store, Quota()),
                own_room=OwnerRoom(
                    self.store, self.directory, quota or Quota(), MemoryUploads(), self.gate
                ),
                senders=SenderCheck(self.directory),
                sending=self.limiter,
                relay=RelaySetting(mode=relay),  # type: ignore[arg-type]
                publisher=self.publisher,
                contents=self.contents,
                gate=self.gate,
            ),
            tls=self.tls,
        )  # fmt: skip
        await self.server.start()
        return self.server

    async def dial(self, *, tls: ssl.SSLContext | None = None) -> Client:
        """A connection, before its greeting is read."""
        port = self.server.tls_port if tls else self.server.port
        client = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))
        self.clients.append(client)
        return client

    async def connect(self) -> Client:
        """A connection with TLS, after EHLO."""
        client = await self.dial(tls=trusting())
        assert (await client.reply(coded=False)).startswith(f"220 {HOSTNAME} ESMTP")
        await client.greet()
        return client

    async def encrypted(self) -> Client:
        """A connection to the port with STARTTLS, encrypted and greeted."""
        client = await self.dial()
        await client.reply(coded=False)
        await client.greet()
        assert (await client.ask("STARTTLS")).startswith("220")
        await encrypt(client)
        await client.greet()
        return client

    async def signed(self, address: str = ALICE) -> Client:
        client = await self.connect()
        reply = await client.ask(f"AUTH PLAIN {plain(address, PASSWORD)}")
        assert reply.startswith("235 2.7.0"), reply
        return client

    async def app_password(self, *scopes: str) -> str:
        row, secret = new_app_password("alice", "phone", scopes)
        await self.directory.add_app_password(row)
        return secret

    @property
    def submits(self) -> list[Submit]:
        assert all(isinstance(event, Submit) for event in self.publisher.events)
        return self.publisher.events  # type: ignore[return-value]

    async def octets(self, content: Any) -> bytes:
        return content.data if hasattr(content, "data") else await self.contents.get(content.ref)

    async def sent(self) -> bytes:
        """The recipients' octets of the only submission."""
        (submit,) = self.submits
        return await self.octets(submit.mail.content)

    async def end(self) -> None:
        for client in self.clients:
            await client.close()
        await self.server.stop()
        stats = self.server.stats
        assert self.server.connections.open == 0
        assert (stats.data_in_progress, stats.held_bytes) == (0, 0)


def _user(name: str) -> User:
    return User(
        user_id=name, domain_id="d", address=f"{name}@postriver.test", disabled=False,
        created_at_ms=0, password_hash=fast_hash(PASSWORD),
    )  # fmt: skip


async def hand_in(
    client: Client, mail: bytes = MAIL, *to: str, sender: str = ALICE, options: str = ""
) -> str:
    """Send a mail; the reply to the final dot, or the first refusal."""
    reply = await client.ask(f"MAIL FROM:<{sender}>{options}")
    if not reply.startswith("250"):
        return reply
    for each in to or (BOB,):
        reply = await client.ask(f"RCPT TO:<{each}>")
        if not reply.startswith("250"):
            return reply
    reply = await client.ask("DATA")
    if not reply.startswith("354"):
        return reply
    await client.send(mail + b".\r\n")
    return await client.reply()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> ssl.SSLContext:
    return context(ensure_own(tmp_path_factory.mktemp("tls"), HOSTNAME))


@pytest.fixture
async def rig(certificate) -> AsyncIterator[Rig]:
    mine = Rig()
    mine.tls = certificate
    await mine.add_users()
    yield mine
    await mine.end()
