"""The commands of SMTP (RFC 5321 §4.1), in the order of a dialogue."""

import asyncio
import time
from functools import partial
from itertools import chain

from mail.ids import new_id
from schemas.ids import MailId
from schemas.mail import Envelope, Recipient
from smtp.server import replies, trace_header
from smtp.server.acceptance import IncomingMail
from smtp.server.chunks import BegunMail
from smtp.server.command_syntax import (
    check_charset,
    check_reverse_path,
    mail_parameters,
    path_key,
    split_path,
)
from smtp.server.common_commands import syntax
from smtp.server.content_commands import CONTENT_VERBS, ContentCommands, ContentTransaction
from smtp.server.context import ServerContext
from smtp.server.recipients import accept_recipient
from smtp.server.replies import Rejection


class Transaction(ContentTransaction):
    """A transaction with its parameters and recipients."""

    __slots__ = ("recipients", "size_bytes", "utf8")

    def __init__(self) -> None:
        super().__init__()
        self.utf8 = False
        self.size_bytes = 0  # as declared in MAIL; 0: not declared
        self.recipients: dict[str, tuple[Recipient, ...]] = {}  # by path_key

    @property
    def owners(self) -> int:
        """Users of all recipients; a user of two recipients counts twice."""
        return sum(map(len, self.recipients.values()))


class SmtpSession(ContentCommands):
    """The commands; the state is aiosmtpd's session and a Transaction."""

    site: ServerContext
    envelope: Transaction

    def _create_envelope(self) -> Transaction:
        return Transaction()

    @syntax("MAIL FROM:<address>", extended=" [SIZE=n] [BODY=7BIT|8BITMIME] [SMTPUTF8]")
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

    @syntax("RCPT TO:<address>")
    async def rcpt(self, arg: str | None) -> None:
        if await self.check_helo_needed():
            return
        if self.envelope.reverse_path is None or self.envelope.chunks is not None:
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

    async def begin_mail(self) -> BegunMail:
        await self._check_transaction()
        transfer = self.site.transfers.begin(self.client, self.envelope.size_bytes)
        if transfer is None:
            raise Rejection(replies.BUSY)
        transfer.give_way = self.give_way
        incoming = self._incoming_mail()
        header = self._trace_header(incoming)
        return BegunMail(
            transfer=transfer,
            prefix=header,
            accept=partial(self._accept, incoming, len(header)),
            end=partial(self.site.transfers.end, transfer),
        )

    async def _check_transaction(self) -> None:
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

    def _trace_header(self, incoming: IncomingMail) -> bytes:
        return trace_header.trace_header(
            incoming.envelope,
            hostname=self.site.config.hostname,
            mail_id=incoming.mail_id,
            at_s=incoming.started_at_s,
        )

    async def _accept(self, incoming: IncomingMail, trace_size_bytes: int, content: bytes) -> str:
        """Accept a mail that was read; the reply to the final dot."""
        reply = await self.site.acceptance.accept(
            incoming, content, trace_size_bytes=trace_size_bytes
        )
        if reply.startswith("250"):
            envelope = incoming.envelope
            self.site.shares.count(envelope.client, envelope.reverse_path, len(content))
        return reply


SmtpSession.verbs = CONTENT_VERBS | {
    "MAIL": SmtpSession.mail,
    "RCPT": SmtpSession.rcpt,
    "AUTH": SmtpSession.unimplemented,
}
