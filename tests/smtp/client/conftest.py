"""An SMTP transport to scripted peers on 127.0.0.1, on asyncio and on uvloop."""

import asyncio
import contextlib
from dataclasses import dataclass, replace

import pytest
import uvloop

from edge.self_signed_certificate import ensure_own
from edge.tls_certificate import context
from mail.ports.mx_resolver import MailHost
from resolving.memory import MemoryMxResolver
from smtp.client import ClientConfig, SmtpTransport
from tests.support.smtp_peer import SmtpPeer, peer_serving

HOST = "mx.there.test"
CONFIG = ClientConfig(
    hostname="us.test",
    connect_s=5.0,
    greeting_s=1.5,
    command_s=1.5,
    tls_handshake_s=1.5,
    data_s=1.5,
    block_s=1.5,
    content_s=5.0,
    final_dot_s=1.5,
    quit_s=1.5,
    slot_wait_s=1.5,
)


def pytest_asyncio_loop_factories(config, item):
    """Every dialogue runs on asyncio and on uvloop: TLS and closing differ."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def host(name: str, *addresses: str, preference: int = 0) -> MailHost:
    return MailHost(name=name, addresses=addresses or ("127.0.0.1",), preference=preference)


@dataclass
class World:
    """Peers, and transports to them. All peers share a port; hosts differ by address."""

    stack: contextlib.AsyncExitStack
    folder: object

    def certificate(self, name: str = HOST):
        """A certificate for `name`: the TLS context of a server, and the file to trust."""
        pair = ensure_own(self.folder / name, name)
        return context(pair), str(pair.certificate)

    async def peer(self, **fields) -> SmtpPeer:
        return await self.stack.enter_async_context(peer_serving(**fields))

    def transport(self, peer: SmtpPeer, *, hosts=None, resolver=None, **settings) -> SmtpTransport:
        hosts = (host(HOST),) if hosts is None else hosts
        table = resolver or MemoryMxResolver(
            domains={"there.test": hosts}, hosts={each.name: each for each in hosts}
        )
        transport = SmtpTransport(replace(CONFIG, **{"port": peer.port, **settings}), table)
        self.stack.push_async_callback(transport.close)
        return transport


@pytest.fixture
async def world(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        yield World(stack, tmp_path)
