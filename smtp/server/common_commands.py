"""The commands that every SMTP server has, and the decorator for their HELP texts."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import syntax as _untyped_syntax

from smtp.server import replies, trace_header
from smtp.server.connection import SmtpConnection
from smtp.server.replies import Rejection

_F = TypeVar("_F", bound=Callable[..., Any])


def syntax(text: str, extended: str | None = None, when: str | None = None) -> Callable[[_F], _F]:
    """The text of HELP for a command, given when the session's attribute `when` is true."""
    return cast("Callable[[_F], _F]", _untyped_syntax(text, extended, when))


class CommonCommands(SmtpConnection):
    """Greeting, STARTTLS, and commands without effect."""

    def capabilities(self) -> bytes:
        """The reply to EHLO."""
        return self.site.capabilities(tls=self.encrypted)

    @syntax("EHLO hostname")
    async def ehlo(self, arg: str | None) -> None:
        self._greet(arg, extended=True)
        await self.send(self.capabilities())

    @syntax("HELO hostname")
    async def helo(self, arg: str | None) -> None:
        self._greet(arg, extended=False)
        await self.send(f"250 {self.hostname}\r\n".encode())

    def _greet(self, arg: str | None, *, extended: bool) -> None:
        if arg is None:
            raise Rejection("501 5.5.4 syntax: EHLO hostname")
        self._set_rset_state()
        self.session.extended_smtp = extended
        self.session.host_name = trace_header.clean_helo(arg)

    @syntax("STARTTLS", when="tls_context")
    async def starttls(self, arg: str | None) -> None:
        """Start TLS (RFC 3207); bytes that came before the handshake are discarded."""
        if arg is not None:
            raise Rejection("501 5.5.4 syntax: STARTTLS")
        if self.encrypted:
            raise Rejection(replies.BAD_SEQUENCE)
        if self.tls_context is None:
            raise Rejection(replies.NOT_IMPLEMENTED)
        await self.push("220 2.0.0 ready to start TLS")
        self.reader.discard()
        await self._encrypt()
        self.site.stats.tls_total += 1

    async def _encrypt(self) -> None:
        plain = self.transport
        assert plain is not None
        assert self.tls_context is not None
        self._original_transport = plain
        transport: Any = await self.loop.start_tls(
            plain,
            self,
            self.tls_context,
            server_side=True,
            ssl_handshake_timeout=self.site.config.tls_handshake_s,
        )
        self.reader.move_to(transport)
        self._writer._transport = transport  # noqa: SLF001  as aiosmtpd does
        self.transport = transport
        self.encrypted = True
        self.session = self._create_session()
        self._set_rset_state()

    @syntax("VRFY <address>")
    async def vrfy(self, arg: str | None) -> None:
        """Reveal no addresses (RFC 5321 §7.3)."""
        if arg is None:
            raise Rejection("501 5.5.4 syntax: VRFY <address>")
        await self.push("252 2.0.0 cannot verify, but will take a message and try to deliver")

    async def unimplemented(self, _arg: str | None) -> None:
        """A command of the RFCs that is not implemented (RFC 5321 §4.2.4)."""
        raise Rejection(replies.NOT_IMPLEMENTED)


COMMON_VERBS = {
    "EHLO": CommonCommands.ehlo,
    "HELO": CommonCommands.helo,
    "STARTTLS": CommonCommands.starttls,
    "RSET": SMTP.smtp_RSET,
    "NOOP": SMTP.smtp_NOOP,
    "QUIT": SMTP.smtp_QUIT,
    "HELP": SMTP.smtp_HELP,
    "VRFY": CommonCommands.vrfy,
    "EXPN": CommonCommands.unimplemented,
}
