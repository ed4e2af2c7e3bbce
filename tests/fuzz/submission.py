"""Fuzz target for submission: any octets, in any pieces, to the real protocol over TLS.

For any input, each accepted mail has a reply of its own, only a user who signed in sends,
only with own addresses, and nothing of Bcc reaches the recipients. The checker reads mails by
Python's library and shares no code with smtp/ and mail/sending/.
"""

import asyncio
import email
import email.policy
import re
from email.utils import getaddresses

from edge.deposits.room import OwnerRoom
from edge.sending_limiter import SendingLimiter
from edge.sign_in.login_limiter import LoginLimits
from edge.sign_in.password_cache import PasswordCache
from mail.directory.quotas import StoredQuotaCheck
from mail.directory.recipient_resolver import DirectoryResolver
from mail.sending.own_limits import OwnLimits
from mail.sending.relay_setting import RelaySetting
from mail.sending.sender_check import SenderCheck
from mail.sending.sending_limits import SendingLimits
from schemas.content import Inline
from schemas.directory import Domain, Quota, User
from schemas.events.sending import Submit
from smtp.server.stats import SmtpStats
from smtp.submission.config import SubmissionConfig
from smtp.submission.context import SubmissionContext
from smtp.submission.ports import MsaPorts
from smtp.submission.session import SubmissionSession
from stores.memory import MemoryAttempts, MemoryUploads
from stores.memory.content_store import MemoryContentStore
from stores.memory.directory import MemoryDirectory
from stores.memory.mail_store import MemoryMailStore
from stores.memory.streams import MemoryPublisher
from stores.memory.submissions import MemorySubmissions
from tests.fuzz.smtp import OpenGate, Wire, converse
from tests.fuzz.target import Target, encoded
from tests.support.sign_in import CountedHasher, authenticator_of, fast_hash

CONFIG = SubmissionConfig(
    hostname="mx.postriver.test", linger_s=0.02, message_max_bytes=2_000, inline_max_bytes=600,
    recipients_max=2, received_max=2, chatter_max=30,
)  # fmt: skip
OWN = {"ann@a.test"}
_REPLY = re.compile(rb"(?:\d{3}-[^\r\n]*\r\n)*\d{3}(?: [^\r\n]*)?\r\n")
_QUEUED = re.compile(rb"250 2\.0\.0 (\S+) queued\r\n")


async def _context() -> tuple[SubmissionContext, MemoryPublisher, MemoryContentStore]:
    directory, contents, publisher = MemoryDirectory(), MemoryContentStore(), MemoryPublisher()
    for name, password in (("ann", "pw"), ("bob", "other")):
        user = User(
            user_id=name, domain_id="d", address=f"{name}@a.test", disabled=False, created_at_ms=1,
            password_hash=fast_hash(password),
        )  # fmt: skip
        if name == "ann":
            await directory.add_domain(Domain(domain_id="d", name="a.test", created_at_ms=1), user)
        else:
            await directory.add_user(user)
    store, gate = MemoryMailStore(), OpenGate()
    resolver, room = DirectoryResolver(directory, CONFIG.hostname), StoredQuotaCheck(store, Quota())
    ports = MsaPorts(
        authenticator=authenticator_of(
            directory, MemoryAttempts(), LoginLimits(), hasher=CountedHasher(),
            cache=PasswordCache(keep_s=60, entries_max=10),
        ),
        resolver=resolver, room=room,
        own_room=OwnerRoom(store, directory, Quota(), MemoryUploads(), gate),
        senders=SenderCheck(directory),
        sending=SendingLimiter(MemorySubmissions(), OwnLimits(MemoryDirectory(), SendingLimits())),
        relay=RelaySetting(), publisher=publisher, contents=contents, gate=gate,
    )  # fmt: skip
    context = SubmissionContext(
        config=CONFIG, ports=ports, resolver=resolver, room=room, gate=gate, stats=SmtpStats(),
        tls=None,
    )  # fmt: skip
    return context, publisher, contents


async def _converse(data: bytes) -> tuple[bytes, list[tuple[Submit, bytes]]]:
    """Return all replies, and the submissions with the recipients' octets."""
    context, publisher, contents = await _context()
    wire = Wire()
    session = SubmissionSession(context, asyncio.get_running_loop(), implicit_tls=True)
    await converse(session, wire, data)
    context.ports.authenticator.close()
    stats = context.stats
    assert (context.limiter.open, stats.data_in_progress, stats.held_bytes) == (0, 0, 0)
    found = []
    for event in publisher.events:
        assert isinstance(event, Submit)
        content = event.mail.content
        octets = content.data if isinstance(content, Inline) else await contents.get(content.ref)
        found.append((event, octets))
    return wire.output, found


def _check(event: Submit, octets: bytes) -> None:
    assert event.user_id == "ann"
    assert event.mail.reverse_path.lower() in {"", *OWN}
    assert event.mail.recipients
    assert {each.address.lower() for each in event.mail.recipients} <= {"ann@a.test", "bob@a.test"}
    parsed = email.message_from_bytes(octets, policy=email.policy.compat32)
    assert parsed["Bcc"] is None
    assert len(parsed.get_all("From", [])) == 1
    senders = [str(parsed[name]) for name in ("From", "Sender", "Resent-From") if parsed[name]]
    assert {address.lower() for _, address in getaddresses(senders)} <= OWN
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    assert b"\0" not in octets


def submit(data: bytes) -> None:
    output, found = asyncio.run(_converse(data))
    replies = _REPLY.findall(output)
    assert b"".join(replies) == output
    assert not any(b"421 4.3.0 internal" in reply for reply in replies)
    assert not any(reply.startswith(b"451") for reply in replies), "nothing is unavailable"
    queued = [match[1].decode() for reply in replies if (match := _QUEUED.fullmatch(reply))]
    assert queued == [event.mail.mail_id for event, _ in found]
    assert not found or any(reply.startswith(b"235 ") for reply in replies)
    for event, octets in found:
        _check(event, octets)


GREETED = b"EHLO c\r\n"
SIGNED = GREETED + b"AUTH PLAIN AGFubkBhLnRlc3QAcHc=\r\n"
READY = SIGNED + b"MAIL FROM:<ann@a.test>\r\nRCPT TO:<bob@a.test>\r\n"
MAIL = b"BDAT 24 LAST\r\nFrom: ann@a.test\r\n\r\nhi\r\n"
WORDS = encoded(
    "EHLO c.example\r\n", "AUTH PLAIN AGFubkBhLnRlc3QAcHc=\r\n", "AUTH PLAIN\r\n", "AUTH LOGIN\r\n",
    "YW5uQGEudGVzdA==\r\n", "cHc=\r\n", "*\r\n", "AUTH PLAIN =\r\n", "MAIL FROM:<ann@a.test>\r\n",
    "MAIL FROM:<>\r\n", "MAIL FROM:<bob@a.test>\r\n", "RCPT TO:<bob@a.test>\r\n",
    "MAIL FROM:<ann@a.test> RET=HDRS ENVID=a+2Bb SIZE=9 HOLDFOR=5 SMTPUTF8\r\n",
    "RCPT TO:<bob@a.test> NOTIFY=NEVER ORCPT=rfc822;x\r\n", "RCPT TO:<x@b.example>\r\n", "DATA\r\n",
    "BDAT 5\r\n", "BDAT 19 LAST\r\n", "BDAT 0 LAST\r\n", "BDAT 5000\r\n", "BDAT x\r\n", "\r\n.\r\n",
    ".\r\n", "From: ann@a.test\r\n", "From: bob@a.test\r\n", "From: x <ann@a.test>, ", "Sender: ",
    "bob@a.test\r\n", "Bcc: h@h.test\r\n", " folded\r\n", "\r\n", "Resent-From: ann@a.test\r\n",
    "From: ann@a.test\r\n\r\nhi\r\n.\r\n",
    "MAIL FROM:<ann@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n",
    "BDAT 24 LAST\r\nFrom: ann@a.test\r\n\r\nhi\r\n",
    "Subject: é\r\n", "RSET\r\n", "NOOP\r\n", "STARTTLS\r\n", "VRFY x\r\n", "\n", "\r", "\x00",
    "x" * 999, "<", ">", '"', ",", ";", ":", "(", "Received: x\r\n", "text", "QUIT\r\n",
)  # fmt: skip
TARGETS = (
    Target(
        "submission", submit, WORDS,
        (READY, READY + b"DATA\r\nFrom: ann@a.test\r\n", READY + b"BDAT 5\r\nFrom:", SIGNED,
         GREETED, READY + MAIL,
         READY + b"DATA\r\nFrom: ann@a.test\r\nBcc: h@h.test\r\n\r\nhi\r\n.\r\n"),
    ),
)  # fmt: skip
