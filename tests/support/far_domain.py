"""Another mail domain on 127.0.0.1: a scripted SMTP server and the DNS server that names it.

Both run in a thread with an event loop of their own, so that tests may block.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support import dns_server
from tests.support.dns_server import DnsServer
from tests.support.in_thread import in_thread
from tests.support.smtp_peer import Received, SmtpPeer, peer_serving

FAR = "far.example"


@dataclass(frozen=True, slots=True)
class FarDomain:
    """The domain `far.example`. `settings`: with them a stack sends mail to the domain."""

    peer: SmtpPeer
    names: DnsServer
    settings: dict[str, str]

    @property
    def received(self) -> list[Received]:
        return self.peer.received

    def with_text(self, text: bytes) -> list[Received]:
        """The mails that arrived and contain `text`."""
        return [each for each in tuple(self.received) if text in each.content]


def settings_to(relay_port: int, dns_port: int) -> dict[str, str]:
    """The settings of a stack that sends to mail hosts on the loopback at `relay_port`."""
    return {
        "POSTRIVER_RELAY": "mx",
        "POSTRIVER_RELAY_PORT": str(relay_port),
        "POSTRIVER_RESOLVER": f"127.0.0.1:{dns_port}",
        "POSTRIVER_OUTBOUND_ALLOW": "127.0.0.0/8",
    }


@contextmanager
def far_domain(**fields: Any) -> Iterator[FarDomain]:
    """Serve during the block; `fields` are those of the SmtpPeer."""
    with in_thread(_serving(**fields)) as domain:
        yield domain


@asynccontextmanager
async def _serving(**fields: Any) -> AsyncIterator[FarDomain]:
    async with peer_serving(**fields) as peer, dns_server.serving() as names:
        names.add(FAR, f"mx.{FAR}")
        yield FarDomain(peer, names, settings_to(peer.port, names.port))
