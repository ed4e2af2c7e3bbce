"""SMTP server of another domain on the loopback, for `postriver demo --send`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True, slots=True)
class DemoMail:
    """A mail as the host got it."""

    reverse_path: str
    recipients: tuple[str, ...]
    content: bytes


@dataclass
class DemoHost:
    """Takes mail for every address. `arrived` has the mails in order."""

    arrived: asyncio.Queue[DemoMail] = field(default_factory=asyncio.Queue)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  (aiosmtpd's name)
        content = envelope.original_content or b""
        mail = DemoMail(envelope.mail_from or "", tuple(envelope.rcpt_tos), content)
        self.arrived.put_nowait(mail)
        return "250 2.0.0 taken"


@asynccontextmanager
async def serving(name: str, port: int) -> AsyncIterator[DemoHost]:
    """Serve on the loopback as host `name` during the block. Raises OSError: the port is taken."""
    host = DemoHost()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(host, hostname=name, ident="demo", loop=loop), "127.0.0.1", port
    )
    try:
        yield host
    finally:
        server.close()
        await server.wait_closed()
