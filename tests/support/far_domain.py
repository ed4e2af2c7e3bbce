"""Another mail domain on 127.0.0.1: a scripted SMTP server and the DNS server that names it.

Both run in a thread with an event loop of their own, so that tests may block.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support import dns_server
from tests.support.dns_server import DnsServer
from tests.support.smtp_peer import Received, SmtpPeer, peer_serving

FAR = "far.example"
STARTS_WITHIN_S = 30.0


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


@contextmanager
def far_domain(**fields: Any) -> Iterator[FarDomain]:
    """Serve during the block; `fields` are those of the SmtpPeer."""
    loop, started, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[FarDomain] = []

    async def serve() -> None:
        async with AsyncExitStack() as closing:
            peer = await closing.enter_async_context(peer_serving(**fields))
            names = await closing.enter_async_context(dns_server.serving())
            names.add(FAR, f"mx.{FAR}")
            settings = {
                "POSTRIVER_RELAY": "mx",
                "POSTRIVER_RELAY_PORT": str(peer.port),
                "POSTRIVER_RESOLVER": f"127.0.0.1:{names.port}",
                "POSTRIVER_OUTBOUND_ALLOW": "127.0.0.0/8",
            }
            found.append(FarDomain(peer, names, settings))
            started.set()
            await stop.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(STARTS_WITHIN_S), "the servers of the other domain did not start"
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
