"""MailTransport in memory: a script decides per recipient, accepted mails are kept."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mail.errors import ContentMissing
from mail.ports.mail_transport import (
    RECIPIENTS_MAX,
    ForwardPath,
    MailTransport,
    OutcomeKind,
    RecipientOutcome,
    Transmission,
)
from mail.sending.sendable_content import ContentCheck, NotSendable
from stores.memory.faults import FaultHook, no_fault, take_step

READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """The reply to one RCPT; `lost_answer`: the dot is sent, and no answer comes."""

    code: int = 250
    status: str = "2.1.5"
    text: str = "accepted"
    lost_answer: bool = False

    @property
    def kind(self) -> OutcomeKind:
        """The outcome of a recipient that gets this reply."""
        if self.lost_answer or self.code // 100 == 4:
            return "deferred"
        return "relayed" if self.code // 100 == 2 else "failed"


Script = Callable[[Transmission, ForwardPath], ScriptedReply]
ACCEPTED = ScriptedReply()


def accept_all(_transmission: Transmission, _recipient: ForwardPath) -> ScriptedReply:
    """Accept every recipient."""
    return ACCEPTED


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail as a peer received it."""

    reverse_path: str
    recipients: tuple[str, ...]
    content: bytes


@dataclass(slots=True)
class MemoryMailTransport(MailTransport):
    """Steps for `fault`: connect, dot (just before the peer has the mail), answer (just after)."""

    script: Script = accept_all
    fault: FaultHook = no_fault
    received: list[ReceivedMail] = field(default_factory=list)
    closed: bool = False

    async def send(self, transmission: Transmission) -> tuple[RecipientOutcome, ...]:
        if not 0 < len(transmission.recipients) <= RECIPIENTS_MAX:
            msg = f"{len(transmission.recipients)} recipients: 1 to {RECIPIENTS_MAX} are possible"
            raise ValueError(msg)
        await take_step(self.fault, "connect")
        replies = [(each, self.script(transmission, each)) for each in transmission.recipients]
        accepted = [each.address for each, reply in replies if reply.code // 100 == 2]
        try:
            if accepted:
                await self._transfer(transmission, accepted)
        except NotSendable as error:
            return tuple(
                _refused_here(each, error) if each.address in accepted else _outcome(each, reply)
                for each, reply in replies
            )
        return tuple(_outcome(each, reply) for each, reply in replies)

    async def close(self) -> None:
        self.closed = True

    async def _transfer(self, transmission: Transmission, accepted: list[str]) -> None:
        check = ContentCheck(eight_bit=transmission.eight_bit)
        pieces = [check.feed(transmission.prefix)]
        start = 0
        while start < transmission.size_bytes:
            chunk = await transmission.read(start, min(READ_BYTES, transmission.size_bytes - start))
            if not chunk:
                raise ContentMissing(transmission.mail_id)
            pieces.append(check.feed(chunk))
            start += len(chunk)
        pieces.append(check.finish())
        if transmission.before_final_dot:
            await transmission.before_final_dot(accepted)
        await take_step(self.fault, "dot")
        self.received.append(
            ReceivedMail(transmission.reverse_path, tuple(accepted), b"".join(pieces))
        )
        await take_step(self.fault, "answer")


def _refused_here(recipient: ForwardPath, error: NotSendable) -> RecipientOutcome:
    return RecipientOutcome(
        address=recipient.address,
        kind="failed",
        phase="content",
        status=error.status,
        text=error.detail,
    )


def _outcome(recipient: ForwardPath, reply: ScriptedReply) -> RecipientOutcome:
    refused = reply.code // 100 != 2
    return RecipientOutcome(
        address=recipient.address,
        kind=reply.kind,
        phase="rcpt" if refused else "final-dot",
        code=0 if reply.lost_answer else reply.code,
        status="4.4.2" if reply.lost_answer else reply.status,
        text="no answer to the final dot" if reply.lost_answer else reply.text,
        server_name="memory.test",
        server_address="192.0.2.1",
    )
