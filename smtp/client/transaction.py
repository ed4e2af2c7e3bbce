"""One mail transaction (RFC 5321 §3.3): MAIL, RCPT for each recipient, DATA, content, final dot.

MAIL and RCPT are sent together to a peer with PIPELINING (RFC 2920). DATA waits for their replies,
so that content is sent only if a recipient was accepted.
"""

import asyncio
from collections.abc import Sequence

from mail.ports.mail_transport import ForwardPath, Phase, RecipientOutcome, Transmission
from mail.sending.sendable_content import NotSendable
from smtp.client.content_stream import stuffed
from smtp.client.envelope_commands import mail_command, needs_smtputf8, rcpt_command
from smtp.client.replies import HostFault, Reply, kind_of
from smtp.client.session import PeerSession, refusal

TOO_MANY_RECIPIENTS = 452  # RFC 5321 §4.5.3.1.10; some servers say 552


class MailRefused(Exception):
    """MAIL was refused: the transaction did not begin."""

    def __init__(self, fault: HostFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class MailTransaction:
    """One transaction for some recipients; `outcomes` has those that are decided, by recipient."""

    def __init__(self, session: PeerSession, transmission: Transmission) -> None:
        self._session = session
        self._connection = session.connection
        self._config = session.connection.config
        self._transmission = transmission
        self.outcomes: dict[ForwardPath, RecipientOutcome] = {}
        self.left_over: list[ForwardPath] = []  # refused as too many: another transaction

    async def run(self, recipients: Sequence[ForwardPath]) -> None:
        """Send the mail; every recipient has an outcome then, or is left over.

        Raises MailRefused; HostFault: the session ended, and recipients without an outcome got
        what the fault says; NotSendable; and the errors of `read` and `before_final_dot`. After
        an error the connection must be closed.
        """
        self._session.transactions += 1
        if fault := self._missing_extension():
            self._decide_all(recipients, fault)
            return
        accepted = await self._envelope(recipients)
        if accepted and await self._data(accepted):
            await self._content(accepted)

    # envelope

    def _missing_extension(self) -> HostFault | None:
        """What this mail needs and the peer does not offer.

        After HELO the mail waits: the peer may have refused EHLO for the moment only.
        """
        offered, transmission = self._session.capabilities, self._transmission
        size_bytes = len(transmission.prefix) + transmission.size_bytes
        status = "5" if offered.extended else "4"
        if needs_smtputf8(transmission) and not offered.smtputf8:
            return HostFault("mail", f"{status}.6.7", "the server does not offer SMTPUTF8")
        if transmission.eight_bit and not offered.eight_bit:
            return HostFault("mail", f"{status}.6.3", "the server does not offer 8BITMIME")
        if offered.size_max_bytes and size_bytes > offered.size_max_bytes:
            text = f"the server takes mail of up to {offered.size_max_bytes} octets"
            return HostFault("mail", "5.3.4", text)
        return None

    async def _envelope(self, recipients: Sequence[ForwardPath]) -> list[ForwardPath]:
        """Send MAIL and RCPT; return the accepted recipients. Raises MailRefused, HostFault."""
        offered = self._session.capabilities
        utf8 = needs_smtputf8(self._transmission)
        mail = mail_command(self._transmission, offered)
        commands = [rcpt_command(recipient, offered, utf8=utf8) for recipient in recipients]
        if offered.pipelining:
            await self._connection.send(b"".join((mail, *commands)), phase="mail")
        else:
            await self._connection.send(mail, phase="mail")
        refused = await self._refusal_of_mail()
        accepted = []
        for recipient, command in zip(recipients, commands, strict=True):
            if refused and not offered.pipelining:
                break
            if not offered.pipelining:
                await self._connection.send(command, phase="rcpt")
            self._connection.phase = "rcpt"
            reply = await self._connection.reply(within_s=self._config.command_s)
            if reply.is_positive:
                accepted.append(recipient)
            elif not refused:
                self._refuse(recipient, reply, others=accepted)
        if refused:
            raise MailRefused(refused)
        return accepted

    async def _refusal_of_mail(self) -> HostFault | None:
        reply = await self._connection.reply(within_s=self._config.command_s)
        return None if reply.is_positive else refusal("mail", reply)

    def _refuse(
        self, recipient: ForwardPath, reply: Reply, *, others: Sequence[ForwardPath]
    ) -> None:
        too_many = reply.code == TOO_MANY_RECIPIENTS or (
            reply.code == 552 and reply.status == "5.5.3"
        )
        if too_many and others:
            self.left_over.append(recipient)
        fault = refusal("rcpt", reply)
        if too_many:
            fault.status = f"4{fault.status[1:]}"
        self._decide(recipient, fault)

    # content

    async def _data(self, accepted: Sequence[ForwardPath]) -> bool:
        reply = await self._connection.command(
            b"DATA\r\n", phase="data", within_s=self._config.data_s
        )
        if reply.code != 354:
            self._decide_all(accepted, refusal("data", reply))
        return reply.code == 354

    async def _content(self, accepted: Sequence[ForwardPath]) -> None:
        """Send the content and the final dot; decide the accepted recipients by the reply."""
        self._connection.phase = "content"
        try:
            async with asyncio.timeout(self._config.content_s) as limit:
                await self._stream()
        except TimeoutError:
            if not limit.expired():
                raise  # an error of `read`
            raise HostFault("content", "4.4.2", "the content took too long") from None
        except HostFault as fault:
            raise await self._fault_in_content(fault) from fault
        if self._transmission.before_final_dot:
            await self._transmission.before_final_dot([each.address for each in accepted])
        await self._connection.check_quiet()
        self._connection.phase = "final-dot"
        await self._final_dot(accepted)

    async def _final_dot(self, accepted: Sequence[ForwardPath]) -> None:
        """Send the dot. A positive reply counts, also if it is too long to be read."""
        await self._connection.write(b".\r\n")
        try:
            reply = await self._connection.reply(within_s=self._config.final_dot_s)
        except HostFault as fault:
            if fault.code // 100 == 2:
                self._relayed(accepted, Reply(fault.code, (fault.text,)))
            raise
        if reply.is_positive:
            self._relayed(accepted, reply)
        else:
            self._decide_all(accepted, refusal("final-dot", reply))

    async def _stream(self) -> None:
        blocks = stuffed(self._transmission, block_bytes=self._config.block_bytes)
        async for block in blocks:
            await self._connection.check_quiet()
            await self._connection.write(block)

    async def _fault_in_content(self, fault: HostFault) -> HostFault:
        """The fault, with the reply of a peer that refuses amid the content and hangs up."""
        reply = None if fault.code else await self._connection.last_words()
        if reply is None or reply.code // 100 not in {4, 5}:
            return fault
        return refusal("content", reply)

    # outcomes

    def decide_rest(
        self, recipients: Sequence[ForwardPath], fault: HostFault | NotSendable
    ) -> None:
        """Give `fault` to the recipients that have no outcome."""
        self._decide_all([each for each in recipients if each not in self.outcomes], fault)

    def _relayed(self, accepted: Sequence[ForwardPath], reply: Reply) -> None:
        for recipient in accepted:
            self.outcomes[recipient] = self._outcome(
                recipient, "final-dot", reply.status, reply.text, reply.code
            )

    def _decide_all(
        self, recipients: Sequence[ForwardPath], fault: HostFault | NotSendable
    ) -> None:
        for recipient in recipients:
            self._decide(recipient, fault)

    def _decide(self, recipient: ForwardPath, fault: HostFault | NotSendable) -> None:
        if isinstance(fault, NotSendable):
            outcome = self._outcome(recipient, "content", fault.status, fault.detail, 0)
        else:
            code = fault.code if fault.code // 100 in {4, 5} else 0
            outcome = self._outcome(recipient, fault.phase, fault.status, fault.text, code)
        self.outcomes[recipient] = outcome

    def _outcome(
        self, recipient: ForwardPath, phase: Phase, status: str, text: str, code: int
    ) -> RecipientOutcome:
        target = self._connection.target
        return RecipientOutcome(
            address=recipient.address,
            kind=kind_of(status),
            phase=phase,
            code=code,
            status=status,
            text=text,
            server_name=target.name,
            server_address=target.address,
            tls=self._connection.tls,
            tls_verified=self._connection.tls_verified,
            dsn_requested=self._session.capabilities.dsn,
        )
