"""MailTransport: one attempt to hand a mail over to the servers of one domain (RFC 5321)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

RECIPIENTS_MAX = 100  # of one transmission (RFC 5321 §4.5.3.1.8)
REPLY_TEXT_MAX_BYTES = 1024  # of UTF-8

ContentReader = Callable[[int, int], Awaitable[bytes]]  # (start, size_bytes), as ContentStore.read
BeforeFinalDot = Callable[[Sequence[str]], Awaitable[None]]  # addresses that the peer accepted

OutcomeKind = Literal["relayed", "deferred", "failed"]
Phase = Literal[
    "local",  # the transmission itself: addresses, content
    "resolve",
    "connect",
    "greeting",
    "ehlo",
    "tls",
    "auth",
    "mail",
    "rcpt",
    "data",
    "content",
    "final-dot",  # the dot was sent: without a reply the mail may have arrived
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Smarthost:
    """A server that takes mail to every domain. Credentials go over verified TLS only."""

    host: str
    port: int = 587
    implicit_tls: bool = False  # TLS from the first octet (RFC 8314 §3.3), as on port 465
    username: str = ""  # "": no AUTH
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPath:
    """A recipient with its DSN parameters (RFC 3461 §4), decoded: xtext is the transport's."""

    address: str
    notify: tuple[str, ...] = ()  # NEVER, or some of SUCCESS, FAILURE, DELAY; (): not requested
    orcpt: str = ""  # addr-type;address, such as rfc822;bob@example.com; "": none


@dataclass(frozen=True, slots=True, kw_only=True)
class Transmission:
    """One content for recipients of one domain.

    The octets sent are `prefix` and then the content: CRLF line ends only, lines of at most 998
    octets, no NUL; other octets fail with 5.6.0 and never reach the final dot. A CRLF is added to
    a last line that has none.
    """

    mail_id: str  # in logs
    domain: str  # of the recipients, or an address literal
    smarthost: Smarthost | None = None  # instead of the domain's mail hosts
    reverse_path: str  # "": the null reverse-path
    recipients: tuple[ForwardPath, ...]
    size_bytes: int  # of the content, without `prefix`
    read: ContentReader
    prefix: bytes = b""  # header fields that go before the content, such as DKIM-Signature
    smtputf8: bool = False  # an address or a header field is not ASCII (RFC 6531)
    eight_bit: bool = False  # the content or the prefix has octets beyond ASCII (RFC 6152)
    envid: str = ""  # RFC 3461 §4.4, decoded
    ret: Literal["", "FULL", "HDRS"] = ""
    before_final_dot: BeforeFinalDot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientOutcome:
    """What became of one recipient in this attempt."""

    address: str
    kind: OutcomeKind
    phase: Phase
    code: int = 0  # of the SMTP reply; 0: there was no reply, `text` is of this host
    status: str  # enhanced status code (RFC 3463), the peer's or one that says the same
    text: str = ""  # one printable line of at most REPLY_TEXT_MAX_BYTES
    server_name: str = ""  # the mail host; "": no connection was tried
    server_address: str = ""
    tls: str = ""  # version and cipher; "": in clear
    tls_verified: bool = False
    dsn_requested: bool = False  # the peer offered DSN and took NOTIFY, ORCPT, ENVID and RET

    @property
    def in_doubt(self) -> bool:
        """Whether the peer may have taken the mail although it is not known to be relayed."""
        return self.phase == "final-dot" and self.kind == "deferred" and not self.code


class MailTransport(Protocol):
    """Sends mail to other servers; keeps connections for later transmissions."""

    async def send(self, transmission: Transmission) -> tuple[RecipientOutcome, ...]:
        """Try the servers of the route within bounds; return one outcome per recipient, in order.

        `before_final_dot` is awaited with the accepted recipients before each final dot; when it
        raises, the dot is not sent, the connection is dropped and the error is raised. The same
        holds for errors of `read`, and ContentMissing: it ends before `size_bytes`. All that
        the peer does is an outcome and no error. Cancelled before the final dot: not delivered;
        after it: in doubt. Raises ValueError: no recipients, or more than RECIPIENTS_MAX.
        """
        ...

    async def close(self) -> None:
        """End idle connections with QUIT; transmissions in progress end as they would."""
        ...
