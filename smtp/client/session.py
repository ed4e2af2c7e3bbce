"""The beginning of an SMTP session: greeting, EHLO or HELO, STARTTLS, AUTH."""

import base64
import logging
import ssl
from dataclasses import dataclass, field

from mail.ports.mail_transport import Phase, Smarthost
from smtp.client.capabilities import NO_EXTENSIONS, Capabilities
from smtp.client.config import ClientConfig
from smtp.client.connection import PeerConnection, Target, TlsFault
from smtp.client.replies import HostFault, Reply
from smtp.client.tls import TlsContexts

log = logging.getLogger(__name__)

NO_SERVICE = 521  # this host never takes mail (RFC 7504 §3)


@dataclass(slots=True)
class PeerSession:
    """A session in which MAIL may be sent."""

    connection: PeerConnection
    capabilities: Capabilities
    transactions: int = field(default=0)
    is_reused: bool = field(default=False)

    async def reset(self) -> None:
        """Abort a transaction, and learn whether the session still lives. Raises HostFault."""
        reply = await self.connection.command(
            b"RSET\r\n", phase="mail", within_s=self.connection.config.command_s
        )
        if not reply.is_positive:
            raise refusal("mail", reply)


def refusal(phase: Phase, reply: Reply) -> HostFault:
    """The fault of a negative reply; another reply than 4yz or 5yz breaks the protocol."""
    if reply.code // 100 in {4, 5}:
        return HostFault(phase, reply.status, reply.text, code=reply.code)
    return HostFault(phase, "4.5.0", f"an unexpected reply: {reply.code} {reply.text}")


async def open_session(
    target: Target, config: ClientConfig, contexts: TlsContexts, *, smarthost: Smarthost | None
) -> PeerSession:
    """Return a session with `target`, under TLS where possible or required. Raises HostFault.

    Without `target.verified`, a TLS that fails leads to a second connection in clear (RFC 7435).
    """
    try:
        return await _open(target, config, contexts, smarthost=smarthost, may_encrypt=True)
    except TlsFault as fault:
        if target.verified:
            raise
        log.info("%s [%s]: %s; sending in clear", target.name, target.address, fault.text)
    return await _open(target, config, contexts, smarthost=smarthost, may_encrypt=False)


async def _open(
    target: Target,
    config: ClientConfig,
    contexts: TlsContexts,
    *,
    smarthost: Smarthost | None,
    may_encrypt: bool,
) -> PeerSession:
    tls = contexts.verified if target.verified else contexts.opportunistic
    connection = PeerConnection(target, config)
    await connection.open(tls if target.implicit_tls else None)
    try:
        capabilities = await _greet(connection)
        if may_encrypt and not target.implicit_tls:
            capabilities = await _encrypt(connection, capabilities, tls)
        if smarthost and smarthost.username:
            await _authenticate(connection, capabilities, smarthost)
    except BaseException:
        connection.abort()
        raise
    return PeerSession(connection, capabilities)


async def _greet(connection: PeerConnection) -> Capabilities:
    """Read the greeting and send EHLO, or HELO to a host that does not know EHLO (§3.2)."""
    connection.phase = "greeting"
    greeting = await connection.reply(within_s=connection.config.greeting_s)
    if not greeting.is_positive:
        raise _greeting_fault(greeting)
    return await _hello(connection)


async def _hello(connection: PeerConnection) -> Capabilities:
    name, within_s = connection.config.hostname.encode("ascii"), connection.config.command_s
    reply = await connection.command(b"EHLO " + name + b"\r\n", phase="ehlo", within_s=within_s)
    if reply.is_positive:
        return Capabilities.parse(reply.lines)
    if reply.code // 100 == 5 and not connection.tls and not connection.target.verified:
        reply = await connection.command(b"HELO " + name + b"\r\n", phase="ehlo", within_s=within_s)
        if reply.is_positive:
            return NO_EXTENSIONS
    raise _deferring("ehlo", reply)


def _greeting_fault(reply: Reply) -> HostFault:
    """521 is final; other refusals of a connection concern this host or our address, for now."""
    if reply.code == NO_SERVICE:
        return HostFault("greeting", "5.3.2", reply.text, code=reply.code)
    return _deferring("greeting", reply)


def _deferring(phase: Phase, reply: Reply) -> HostFault:
    """The fault of a reply that refuses a session, not a mail: the mail waits, also after 5yz."""
    fault = refusal(phase, reply)
    fault.status = f"4{fault.status[1:]}"
    return fault


async def _encrypt(
    connection: PeerConnection, capabilities: Capabilities, tls: ssl.SSLContext
) -> Capabilities:
    """Begin TLS if the peer offers it; return what it offers under TLS (RFC 3207 §4.2)."""
    required = connection.target.verified
    if not capabilities.starttls:
        if required:
            raise HostFault("tls", "4.7.0", "TLS is required, and the server does not offer it")
        return capabilities
    reply = await connection.command(
        b"STARTTLS\r\n", phase="tls", within_s=connection.config.command_s
    )
    if not reply.is_positive:
        if required:
            raise _deferring("tls", reply)
        return capabilities
    await connection.start_tls(tls)
    try:
        return await _hello(connection)
    except HostFault as fault:  # a handshake that only seemed to succeed, as with TLS 1.3
        if fault.code:
            raise
        raise TlsFault(fault.text) from fault


async def _authenticate(
    connection: PeerConnection, capabilities: Capabilities, smarthost: Smarthost
) -> None:
    """AUTH PLAIN or LOGIN (RFC 4954, RFC 4616), under verified TLS only.

    A refusal defers: the operator's credentials are wrong, no mail is.
    """
    if not connection.tls_verified:
        raise HostFault("auth", "4.7.0", "credentials are sent under verified TLS only")
    username, password = smarthost.username, smarthost.password
    within_s = connection.config.command_s
    if "PLAIN" in capabilities.auth:
        lines = [b"AUTH PLAIN " + _base64(f"\0{username}\0{password}")]
    elif "LOGIN" in capabilities.auth:
        lines = [b"AUTH LOGIN", _base64(username), _base64(password)]
    else:
        raise HostFault("auth", "4.7.0", "the server offers neither AUTH PLAIN nor AUTH LOGIN")
    for number, line in enumerate(lines, 1):
        reply = await connection.command(line + b"\r\n", phase="auth", within_s=within_s)
        if number < len(lines) and reply.code != 334:
            break
    if not reply.is_positive:
        raise _deferring("auth", reply)


def _base64(text: str) -> bytes:
    return base64.b64encode(text.encode())
