"""The commands of SMTP (RFC 5321 §4.1), in the order of a dialogue."""

import asyncio
import time
from collections.abc import Callable
from itertools import chain
from typing import Any, TypeVar, cast

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import syntax as _untyped_syntax

from mail.ids import new_id
from schemas.ids import MailId
from schemas.mail import Envelope, Recipient
from smtp.server import replies, trace_header
from smtp.server.acceptance import IncomingMail
from smtp.server.command_syntax import (
    check_charset,
    check_reverse_path,
    mail_parameters,
    path_key,
    split_path,
)
from smtp.server.connection import SmtpConnection
from smtp.server.data_transfer import DataTransfer
from smtp.server.recipients import accept_recipient
from smtp.server.replies import Rejection

_F = TypeVar("_F", bound=Callable[..., Any])


def _syntax(text: str, extended: str | None = None, when: str | None = None) -> Callable[[_F], _F]:
    """The text of HELP for a command, given when the session's attribute `when` is true."""
    return cast("Callable[[_F], _F]", _untyped_syntax(text, extended, when))


class Transaction:
    """A mail transaction (aiosmtpd: envelope), created again after each mail and RSET."""

    __slots__ = ("any_recipient", "recipients", "reverse_path", "size_bytes", "utf8")

    def __init__(self) -> None:
        self.reverse_path: str | None = None  # None: no MAIL yet
        self.utf8 = False
        self.size_bytes = 0  # as declared in MAIL; 0: not declared
        self.recipients: dict[str, tuple[Recipient, ...]] = {}  # by path_key
        self.any_recipient = False  # a RCPT came, accepted or not

    @property
    def owners(self) -> int:
        """Users of all recipients; a user of two recipients counts twice."""
        return sum(map(len, self.recipients.values()))


class SmtpSession(SmtpConnection):
    """The commands; the state is aiosmtpd's session and a Transaction."""

    envelope: Transaction

    def _create_envelope(self) -> Transaction:
        return Transaction()

    @_syntax("EHLO hostname")
    async def ehlo(self, arg: str | None) -> None:
        self._greet(arg, extended=True)
        await self.send(self.site.capabilities(tls=self.encrypted))

    @_syntax("HELO hostname")
    async def helo(self, arg: str | None) -> None:
        self._greet(arg, extended=False)
        await self.send(f"250 {self.hostname}\r\n".encode())

    def _greet(self, arg: str | None, *, extended: bool) -> None:
        if arg is None:
            raise Rejection("501 5.5.4 syntax: EHLO hostname")
        self._set_rset_state()
        self.session.extended_smtp = extended
        self.session.host_name = trace_header.clean_helo(arg)

    @_syntax("STARTTLS", when="tls_context")
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

    @_syntax("MAIL FROM:<address>", extended=" [SIZE=n] [BODY=7BIT|8BITMIME] [SMTPUTF8]")
    async def mail(self, arg: str | None) -> None:
        if await self.check_helo_needed():
            return
        path, given = split_path(arg, "FROM:")
        if self.envelope.reverse_path is not None:
            raise Rejection(replies.BAD_SEQUENCE)
        if given and not self.session.extended_smtp:
            raise Rejection(replies.UNKNOWN_PARAMETER)
        parameters = mail_parameters(given)
        check_reverse_path(path, utf8=parameters.utf8)
        if (parameters.size_bytes or 0) > self.site.config.message_max_bytes:
            raise Rejection(replies.too_big(self.site.config.message_max_bytes))
        if self.site.closed():
            raise Rejection(replies.NO_STORAGE)
        await self._check_share(path, parameters.size_bytes or 0)
        self.envelope.reverse_path = path
        self.envelope.utf8 = parameters.utf8
        self.envelope.size_bytes = parameters.size_bytes or 0
        await self.push("250 2.1.0 sender ok")

    async def _check_share(self, reverse_path: str, size_bytes: int) -> None:
        """Raises Rejection, after a delay: the share of the client or its domain is used."""
        if not self.site.shares.admits(self.client, reverse_path, size_bytes):
            await asyncio.sleep(self.site.config.share_used_delay_s)
            raise Rejection(replies.SHARE_USED)

    @_syntax("RCPT TO:<address>")
    async def rcpt(self, arg: str | None) -> None:
        if await self.check_helo_needed():
            return
        if self.envelope.reverse_path is None:
            raise Rejection(replies.BAD_SEQUENCE)
        path, given = split_path(arg, "TO:")
        self.envelope.any_recipient = True
        if given:
            raise Rejection(replies.UNKNOWN_PARAMETER)
        check_charset(path, utf8=self.envelope.utf8)
        if self.site.probing.ended(self.client, self.unknown_recipients):
            await self.hang_up(replies.TOO_MANY_UNKNOWN)
            return
        try:
            await self._add_recipient(path)
        except Rejection as rejection:
            await self._count_unknown(rejection.reply)
            raise
        await self.push("250 2.1.5 recipient ok")

    async def _count_unknown(self, reply: str) -> None:
        """Count a 550, and delay it when there were many."""
        if reply.startswith("550"):
            self.unknown_recipients += 1
            delay_s = self.site.probing.count(self.client, self.unknown_recipients)
            await asyncio.sleep(delay_s)

    async def _add_recipient(self, path: str) -> None:
        recipients, key = self.envelope.recipients, path_key(path)
        if key in recipients:
            return
        if len(recipients) >= self.site.config.recipients_max:
            raise Rejection(replies.TOO_MANY_RECIPIENTS)
        recipients_of_path = await accept_recipient(
            self.site, path, size_bytes=self.envelope.size_bytes
        )
        if self.envelope.owners + len(recipients_of_path) > self.site.config.owners_max:
            raise Rejection(replies.TOO_MANY_RECIPIENTS)
        recipients[key] = recipients_of_path

    @_syntax("DATA")
    async def data(self, arg: str | None) -> None:
        if await self.check_helo_needed():
            return
        await self._check_data(arg)
        transfer = self.site.transfers.begin(self.client, self.envelope.size_bytes)
        if transfer is None:
            raise Rejection(replies.BUSY)
        transfer.give_way = self.give_way
        data_transfer = DataTransfer(self, self._incoming_mail(), transfer)
        self._set_post_data_state()
        self.in_data = True
        try:
            await data_transfer.run()
        finally:
            self.in_data = False
            self.site.transfers.end(transfer)

    async def _check_data(self, arg: str | None) -> None:
        if arg is not None:
            raise Rejection("501 5.5.4 syntax: DATA")
        if self.envelope.reverse_path is None or not self.envelope.any_recipient:
            raise Rejection(replies.BAD_SEQUENCE)
        if not self.envelope.recipients:
            raise Rejection(replies.NO_RECIPIENT)
        await self._check_share(self.envelope.reverse_path, self.envelope.size_bytes)

    def _incoming_mail(self) -> IncomingMail:
        envelope = Envelope(
            reverse_path=self.envelope.reverse_path or "",
            recipients=tuple(chain.from_iterable(self.envelope.recipients.values())),
            client=self.client,
            helo=self.session.host_name,
            protocol=trace_header.protocol(
                extended=self.session.extended_smtp, tls=self.encrypted, utf8=self.envelope.utf8
            ),
        )
        return IncomingMail(
            mail_id=MailId(new_id()),
            envelope=envelope,
            started_at_s=time.time(),
            started_s=time.perf_counter(),
        )

    @_syntax("VRFY <address>")
    async def vrfy(self, arg: str | None) -> None:
        """Reveal no addresses (RFC 5321 §7.3)."""
        if arg is None:
            raise Rejection("501 5.5.4 syntax: VRFY <address>")
        await self.push("252 2.0.0 cannot verify, but will take a message and try to deliver")

    async def unimplemented(self, _arg: str | None) -> None:
        """A command of the RFCs that is not implemented (RFC 5321 §4.2.4)."""
        raise Rejection(replies.NOT_IMPLEMENTED)


SmtpSession.verbs = {
    "EHLO": SmtpSession.ehlo,
    "HELO": SmtpSession.helo,
    "STARTTLS": SmtpSession.starttls,
    "MAIL": SmtpSession.mail,
    "RCPT": SmtpSession.rcpt,
    "DATA": SmtpSession.data,
    "RSET": SMTP.smtp_RSET,
    "NOOP": SMTP.smtp_NOOP,
    "QUIT": SMTP.smtp_QUIT,
    "HELP": SMTP.smtp_HELP,
    "VRFY": SmtpSession.vrfy,
    "EXPN": SmtpSession.unimplemented,
    "AUTH": SmtpSession.unimplemented,
    "BDAT": SmtpSession.unimplemented,
}
