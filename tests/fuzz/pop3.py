"""Fuzz target for POP3: any octets, in any pieces, to the real connection over memory ports.

Every reply has the form that its first line announces, no command fails unexpectedly, and a
maildrop is released at the end. The checker shares no code with pop3/.
"""

import asyncio
import re
from typing import Any

from edge.sign_in.login_limiter import LoginLimits
from pop3.config import Pop3Config
from pop3.connection import Pop3Connection
from pop3.context import Pop3Context
from pop3.ports import Pop3Ports
from pop3.session import Pop3Session
from schemas.directory import Domain, User
from stores.memory import MemoryAttempts, MemoryDirectory
from tests.fuzz.smtp import Wire, converse
from tests.fuzz.target import Target, encoded
from tests.support.edge_world import World
from tests.support.sign_in import CountedHasher, authenticator_of, fast_hash

CONFIG = Pop3Config(
    hostname="pop.postriver.test", in_clear=True, linger_s=0.02, piece_bytes=7, chatter_max=30
)
MAIL = b"Subject: x\r\n\r\n.\r\n..\r\nbody\r\n"
_LINE = rb"[^\r\n]*\r\n"
_LISTS = rb"\+OK (?:capabilities follow|\d+ messages|\d+ octets|top of message follows)\r\n"
_REPLY = re.compile(
    rb"-ERR %b|\+ %b|%b(?:(?!\.\r\n)%b)*\.\r\n|\+OK(?: %b|\r\n)"
    % (_LINE, _LINE, _LISTS, _LINE, _LINE)
)


class Pop3Wire(Wire):
    """Transport that records the output of a POP3 connection."""

    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        pass


async def _context() -> Pop3Context:
    world, directory = World(), MemoryDirectory()
    user = User(
        user_id="alice", domain_id="d", address="ann@a.test", disabled=False, created_at_ms=1,
        password_hash=fast_hash("pw"),
    )  # fmt: skip
    await directory.add_domain(Domain(domain_id="d", name="a.test", created_at_ms=1), user)
    for _ in range(2):
        await world.deliver(MAIL)
    return Pop3Context(
        config=CONFIG,
        ports=Pop3Ports(
            store=world.store,
            contents=world.contents,
            publisher=world.mailboxes,
            feed=world.feed,
            attempts=MemoryAttempts(),
        ),
        authenticator=authenticator_of(
            directory, MemoryAttempts(), LoginLimits(), hasher=CountedHasher()
        ),
        tls=None,
    )


async def _converse(data: bytes) -> bytes:
    """Return all replies."""
    site, wire = await _context(), Pop3Wire()
    connection = Pop3Connection(site, Pop3Session, implicit_tls=False)
    await converse(connection, wire, data)
    site.authenticator.close()
    assert (site.limiter.open, site.stats.maildrops, site.stats.held_messages) == (0, 0, 0)
    return wire.output


def dialogue(data: bytes) -> None:
    """Check the replies to `data`."""
    output = asyncio.run(_converse(data))
    at = 0
    while at < len(output):
        reply = _REPLY.match(output, at)
        assert reply, output[at:]
        assert b"internal error" not in reply[0]
        at = reply.end()


WORDS = (
    *encoded(
        "USER ann@a.test\r\n", "PASS pw\r\n", "PASS ", "USER ", "AUTH PLAIN\r\n",
        "AUTH LOGIN\r\n",
        "AUTH PLAIN AGFubkBhLnRlc3QAcHc=\r\n", "AGFubkBhLnRlc3QAcHc=\r\n", "AUTH ", "=", "*\r\n",
        "YW5uQGEudGVzdA==\r\n", "cHc=\r\n", "STAT\r\n", "LIST\r\n", "LIST ",
        "UIDL\r\n", "UIDL 1\r\n",
        "RETR 1\r\n", "RETR ", "TOP 1 1\r\n", "TOP ", "DELE 1\r\n", "DELE 2\r\n", "RSET\r\n",
        "QUIT\r\n", "CAPA\r\n", "NOOP\r\n", "STLS\r\n", "UTF8\r\n", "GET / HTTP/1.1\r\n", "1", "2",
        "0", "-", "٣", " ", "\r\n", "\r", "\n", ".", "\x00", "é", "x" * 300,
        "999999999", "A" * 20_000,
    ),
    b"\xff",
)  # fmt: skip
BEGINS = encoded("", "USER ann@a.test\r\nPASS pw\r\n", "AUTH PLAIN AGFubkBhLnRlc3QAcHc=\r\n")
TARGETS = (Target("pop3", dialogue, WORDS, BEGINS, examples=150),)
