"""Fuzz target for SMTP: any octets, in any pieces, to the real protocol.

Each command has one reply, and each accepted mail equals the mail that was sent. The checker reads
the wire and shares no code with smtp/.
"""

import asyncio
import random
import re
import zlib
from dataclasses import dataclass, field
from typing import Any

from mail.directory.quotas import StoredQuotaCheck
from mail.directory.recipient_resolver import DirectoryResolver
from schemas.directory import Domain, Quota, User
from schemas.events.mail import MailReceived
from smtp.server.acceptance import Acceptance
from smtp.server.config import SmtpConfig
from smtp.server.context import ServerContext
from smtp.server.session import SmtpSession
from smtp.server.stats import SmtpStats
from stores.memory.content_store import MemoryContentStore
from stores.memory.directory import MemoryDirectory
from stores.memory.mail_store import MemoryMailStore
from stores.memory.streams import MemoryPublisher
from tests.fuzz.target import Target, encoded

END = b"\r\n.\r\n"
CONFIG = SmtpConfig(
    hostname="mx.postriver.test", linger_s=0.02, message_max_bytes=2_000, inline_max_bytes=600,
    line_max_bytes=300, recipients_max=2, received_max=2, chatter_max=30, unknown_max=10**9,
    unknown_per_peer_max=10**9, unknown_delay_s=0.0,
)  # fmt: skip
_CHUNK = re.compile(rb"bdat +([0-9]{1,10})( +last)? *\r\n", re.IGNORECASE)
_REPLY = re.compile(rb"(?:\d{3}-[^\r\n]*\r\n)*\d{3}(?: [^\r\n]*)?\r\n")


class Wire(asyncio.Transport):
    """Transport that records the output of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.output = b""
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.7", 12345) if name == "peername" else default

    def write(self, data: Any) -> None:
        self.output += bytes(data)

    def pause_reading(self) -> None:
        self.may_read.clear()

    def resume_reading(self) -> None:
        self.may_read.set()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self.may_read.set()

    abort = close


async def converse(server: Any, wire: Wire, data: bytes) -> None:
    """Send `data` in pieces to the protocol `server`, which then must end by itself."""
    server.connection_made(wire)
    for piece in pieces(data):
        await wire.may_read.wait()
        if wire.is_closing():
            break
        server.data_received(piece)
        await asyncio.sleep(0)
    server.eof_received()
    done, _ = await asyncio.wait([server.task], timeout=20)
    assert done, "the session waits for more input after the end"
    server.connection_lost(None)


class OpenGate:
    def closed(self) -> str | None:
        return None


async def _server_context() -> tuple[ServerContext, MemoryPublisher, MemoryContentStore]:
    directory = MemoryDirectory()
    user = User(user_id="u", domain_id="d", address="ann@a.test", disabled=False, created_at_ms=1)
    await directory.add_domain(Domain(domain_id="d", name="a.test", created_at_ms=1), user)
    publisher, contents, stats = MemoryPublisher(), MemoryContentStore(), SmtpStats()
    context = ServerContext(
        config=CONFIG,
        resolver=DirectoryResolver(directory, CONFIG.hostname),
        room=StoredQuotaCheck(MemoryMailStore(), Quota()),
        gate=OpenGate(),
        acceptance=Acceptance(CONFIG, stats, publisher=publisher, contents=contents),
        stats=stats,
        tls=None,
    )
    return context, publisher, contents


async def _converse(data: bytes) -> tuple[bytes, list[tuple[MailReceived, bytes]]]:
    """Return all replies, and the accepted mails with their octets."""
    context, publisher, contents = await _server_context()
    wire, session = Wire(), SmtpSession(context, asyncio.get_running_loop())
    await converse(session, wire, data)
    stats = context.stats
    assert (context.limiter.open, stats.data_in_progress, stats.held_bytes) == (0, 0, 0)
    mails = []
    for event in publisher.events:
        assert isinstance(event, MailReceived)
        inline = getattr(event.content, "data", None)
        whole = await contents.get(event.content.ref) if inline is None else inline
        mails.append((event, whole[event.trace_size_bytes :]))
    return wire.output, mails


def pieces(data: bytes) -> list[bytes]:
    """`data` in pieces of several sizes, the same in each run."""
    chance, found = random.Random(zlib.crc32(data)), []
    while data:
        size = chance.choice((1, 2, 5, 30, 200, 5000))
        found.append(data[:size])
        data = data[size:]
    return found


@dataclass
class ReplyChecker:
    """Follows the sent octets, and compares the replies and mails with them."""

    wire: bytes
    replies: list[bytes]
    mails: list[tuple[MailReceived, bytes]]
    at: int = 0
    recipients: list[bytes] = field(default_factory=list)
    chunks: bytes = b""

    def check(self) -> None:
        assert self.replies.pop(0).startswith(b"220 ")
        while (end := self.wire.find(b"\n", self.at)) >= 0 and self._command(end + 1):
            pass
        assert self.replies == [], "a reply without a command"
        assert self.mails == [], "a mail without a 250"

    def _command(self, end: int) -> bool:
        line, self.at = self.wire[self.at : end], end
        if chunk := _CHUNK.fullmatch(line):
            return self._chunk(int(chunk[1]), is_last=chunk[2] is not None)
        assert self.replies, f"no reply to {line!r}"
        reply = self.replies.pop(0)
        code, verb = reply[:3], line.strip()[:4].upper()
        if code == b"354":
            assert verb == b"DATA"
            return self._data()
        if code == b"250" and verb in {b"EHLO", b"HELO", b"RSET", b"MAIL"}:
            self.recipients.clear()
            self.chunks = b""
        if code == b"250" and verb == b"RCPT":
            self.recipients.append(line.lower())
        return code not in {b"221", b"421"}

    def _chunk(self, size_bytes: int, *, is_last: bool) -> bool:
        self.chunks += self.wire[self.at : self.at + size_bytes]
        self.at += size_bytes
        if self.at > len(self.wire):
            return bool(self.replies and not self.replies.pop(0).startswith(b"421"))
        reply = self.replies.pop(0)
        if is_last and reply.startswith(b"250"):
            self._accepted(self.chunks)
        if is_last:
            self.recipients.clear()
            self.chunks = b""
        return not reply.startswith(b"421")

    def _data(self) -> bool:
        body, end, _ = (b"\r\n" + self.wire[self.at :]).partition(END)
        if self.replies and self.replies[0].startswith(b"421"):
            self.replies.pop(0)
            return False
        if not end:
            return False
        self.at += len(body) - 2 + len(END)
        reply = self.replies.pop(0)
        if reply.startswith(b"250"):
            lines = body.split(b"\r\n")[1:]
            self._accepted(b"".join(line.removeprefix(b".") + b"\r\n" for line in lines))
        self.recipients.clear()
        return not reply.startswith(b"421")

    def _accepted(self, sent: bytes) -> None:
        event, content = self.mails.pop(0)
        assert content == sent
        assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
        assert event.envelope.recipients
        for recipient in event.envelope.recipients:
            assert any(recipient.address.lower().encode() in line for line in self.recipients)


def dialogue(data: bytes) -> None:
    output, mails = asyncio.run(_converse(data))
    replies = _REPLY.findall(output)
    assert b"".join(replies) == output
    assert not any(b"421 4.3.0 internal" in reply for reply in replies)
    ReplyChecker(data, replies, mails).check()


WORDS = (
    *encoded(
        "EHLO c.example\r\n", "HELO c\r\n", "MAIL FROM:<a@b.example>\r\n", "MAIL FROM:<>\r\n",
        "MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME SMTPUTF8\r\n", "RCPT TO:<ann@a.test>\r\n",
        "RCPT TO:<ann+x@a.test>\r\n", "RCPT TO:<no@a.test>\r\n", "DATA\r\n", "DATA\r\n", ".\r\n",
        "\r\n.\r\n", "\r\n.\r\n", "..\r\n", "Subject: x\r\n", "\r\n", "\n", "\r", "\n.\n", "\r.\r",
        "\n.\r\n", "\r\n.\n", "RSET\r\n", "NOOP x\r\n", "QUIT\r\n", "HELP\r\n", "HELP EXPN\r\n",
        "HELP MAIL\r\n", "VRFY ann\r\n", "EXPN x\r\n", "BDAT 3 LAST\r\n", "BDAT 5\r\n",
        "BDAT 0\r\n", "BDAT 21 LAST\r\nSubject: x\r\n\r\n.hello", "BDAT 5000\r\n", "BDAT x\r\n",
        "STARTTLS\r\n", "AUTH\r\n",
        "GET / HTTP/1.1\r\n", "Received: x\r\n", "x" * 70, "x" * 600, "<", ">", '"', "@", ":", " ",
        "\\", "\x00", "é", "MAIL ", "RCPT TO:", "FROM:", "SIZE=", "99999999999999999999999", "=",
        "RCPT TO:<@x:ann@a.test>\r\n", 'RCPT TO:<"ann"@a.test>\r\n', "DATA x\r\n", "[1.2.3.4]",
    ),
    b"\xff",
)  # fmt: skip
READY = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ann@a.test>\r\n"
TARGETS = (Target("smtp", dialogue, WORDS, (b"EHLO c\r\n", READY, READY + b"DATA\r\n", b"")),)
