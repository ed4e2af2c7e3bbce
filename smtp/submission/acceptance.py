"""Acceptance of a submission: check and complete the content, store it, publish, answer 250.

An attempt is bounded by `accept_max_s`. After a 451 the client sends the mail again with a new mail
id. If the first event reached the log late, the mail is sent twice: RFC 5321 §4.5.4.1 prefers a
duplicate to a loss.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from edge.deposits.room import OverQuota
from edge.submissions import with_small_contents
from mail.addresses import normal_domain
from mail.clock import now_ms
from mail.errors import Transient
from mail.ids import new_command_id, new_id
from mail.sending.sendable_content import NotSendable
from mail.sending.submitted_content import AddedFields, SubmittedContent, submitted_content
from schemas.content import Inline
from schemas.directory import User
from schemas.events.sending import Submit
from schemas.ids import MailId
from schemas.mail import Hop
from schemas.submissions import RequestedRecipient, Returned, SubmittedMail
from smtp.server import replies as common_replies
from smtp.server.stats import SmtpStats
from smtp.submission import replies
from smtp.submission.config import SubmissionConfig
from smtp.submission.ports import MsaPorts

log = logging.getLogger(__name__)

STAGE = "msa"  # in hops
_THREAD_BYTES = 64 * 1024  # a larger mail is checked on a thread


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEnvelope:
    """A mail whose octets are being read. Its id is made before the first octet."""

    mail_id: MailId
    user: User
    reverse_path: str
    recipients: tuple[RequestedRecipient, ...]
    utf8: bool
    returned: Returned
    envelope_id: str
    fire_at_ms: int
    client: str
    helo: str
    protocol: str
    started_at_s: float  # Unix time
    started_s: float  # the monotonic clock


class SubmissionAcceptance:
    """The only code that answers 250 to a submission."""

    def __init__(self, config: SubmissionConfig, stats: SmtpStats, ports: MsaPorts) -> None:
        self._config = config
        self._stats = stats
        self._ports = ports

    async def accept(self, envelope: OutgoingEnvelope, octets: bytes) -> str:
        """Make the mail durable; return the reply. Raises nothing but CancelledError."""
        try:
            async with asyncio.timeout(self._config.accept_max_s):
                return await self._accept(envelope, octets)
        except (Transient, TimeoutError) as error:
            log.warning("mail %s not accepted: %s", envelope.mail_id, error or "timeout")
        except Exception:
            log.exception("mail %s not accepted", envelope.mail_id)
        return common_replies.TRY_LATER

    async def _accept(self, envelope: OutgoingEnvelope, octets: bytes) -> str:
        try:
            content = await self._content(envelope, octets)
            await self._check(envelope, content)
            event = await self._stored(envelope, content)
        except NotSendable as fault:
            self._ports.sending.release(envelope.mail_id)
            return f"{'550' if fault.status != '5.3.4' else '552'} {fault.status} {fault.detail}"
        except OverQuota:
            self._ports.sending.release(envelope.mail_id)
            return replies.OVER_QUOTA
        except Transient:  # nothing was published
            self._ports.sending.release(envelope.mail_id)
            raise
        await self._ports.publisher.publish(event)
        self._count(envelope, len(content.octets))
        return f"250 2.0.0 {envelope.mail_id} queued"

    async def _content(self, envelope: OutgoingEnvelope, octets: bytes) -> SubmittedContent:
        added = AddedFields(
            mail_id=envelope.mail_id,
            hostname=self._config.hostname,
            protocol=envelope.protocol,
            domain=_domain(envelope.user),
            at_ms=int(envelope.started_at_s * 1000),
        )
        if len(octets) <= _THREAD_BYTES:
            return submitted_content(octets, added)
        return await asyncio.to_thread(submitted_content, octets, added)

    async def _check(self, envelope: OutgoingEnvelope, content: SubmittedContent) -> None:
        """Raises NotSendable, OverQuota, StoreUnavailable."""
        if not content.is_header_ascii and not envelope.utf8:
            raise NotSendable("a header beyond ASCII needs SMTPUTF8", "5.6.7")
        user = envelope.user
        fault = await self._ports.senders.fault(user.user_id, content.senders)
        if fault is not None:
            status, detail = fault
            raise NotSendable(f"{detail} (From, Sender or Resent-From)", status)
        size_bytes = len(content.sent_copy or content.octets)
        await self._ports.own_room.check(user, size_bytes=size_bytes)

    async def _stored(self, envelope: OutgoingEnvelope, content: SubmittedContent) -> Submit:
        """The event, once its contents over the inline limit are in the content store."""
        copy_id = MailId(new_id()) if content.sent_copy is not None else MailId("")
        mail = SubmittedMail(
            mail_id=envelope.mail_id,
            reverse_path=envelope.reverse_path,
            recipients=envelope.recipients,
            content=Inline(content.octets),
            sent_copy=Inline(content.sent_copy) if content.sent_copy else None,
            sent_mail_id=copy_id,
            needs_smtputf8=_needs_smtputf8(envelope, content),
            envelope_id=envelope.envelope_id,
            returned=envelope.returned,
            client=envelope.client,
            helo=envelope.helo,
            protocol=envelope.protocol,
        )
        return Submit(
            command_id=new_command_id(),
            user_id=envelope.user.user_id,
            domain_id=envelope.user.domain_id,
            mail=await with_small_contents(
                mail, self._ports.contents, inline_max_bytes=self._config.inline_max_bytes
            ),
            at_ms=now_ms(),
            fire_at_ms=envelope.fire_at_ms,
            hops=(self._hop(envelope),),
        )

    def _hop(self, envelope: OutgoingEnvelope) -> Hop:
        return Hop(
            stage=STAGE,
            started_at_ms=int(envelope.started_at_s * 1000),
            took_ms=round((time.perf_counter() - envelope.started_s) * 1000, 3),
            verdict="accepted",
            attempt=1,
            worker=self._config.worker,
        )

    def _count(self, envelope: OutgoingEnvelope, size_bytes: int) -> None:
        took_s = time.perf_counter() - envelope.started_s
        self._stats.accepted_total += 1
        self._stats.accepted_bytes_total += size_bytes
        self._stats.accept_times.seen(took_s)
        log.info(
            "mail %s submitted by user %s: %d bytes, %d recipients, %s, %.1f ms",
            envelope.mail_id,
            envelope.user.user_id,
            size_bytes,
            len(envelope.recipients),
            envelope.protocol,
            took_s * 1000,
        )


def _domain(user: User) -> str:
    """The domain of the user's address in A-labels, for a Message-ID."""
    return normal_domain(user.address.rpartition("@")[2])


def _needs_smtputf8(envelope: OutgoingEnvelope, content: SubmittedContent) -> bool:
    addresses = (envelope.reverse_path, *(each.address for each in envelope.recipients))
    return not (content.is_header_ascii and all(map(str.isascii, addresses)))
