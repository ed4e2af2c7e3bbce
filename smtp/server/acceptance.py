"""Acceptance of a mail: store the content, publish the event, answer 250; 451 on any failure.

An attempt is bounded by `accept_max_s`. After a 451 the client retries, and the mail gets a new
mail id. If the first event reached the log late, the recipient gets the mail twice: RFC 5321 §6.1
and §4.5.4.1 prefer a duplicate to a loss.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from mail.clock import now_ms
from mail.errors import Transient
from mail.ports import ContentStore, Publisher
from schemas.content import Inline
from schemas.events.mail import MailReceived
from schemas.ids import MailId
from schemas.mail import Envelope, Hop
from smtp.server import replies
from smtp.server.config import SmtpConfig
from smtp.server.stats import SmtpStats

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMail:
    """A mail whose data is being read. Its id is assigned before the first byte."""

    mail_id: MailId
    envelope: Envelope
    started_at_s: float  # Unix time
    started_s: float  # the monotonic clock


class Acceptance:
    """The only code that answers 250 to a mail."""

    def __init__(
        self, config: SmtpConfig, stats: SmtpStats, *, publisher: Publisher, contents: ContentStore
    ) -> None:
        self._config = config
        self._stats = stats
        self._publisher = publisher
        self._contents = contents

    async def accept(self, incoming: IncomingMail, content: bytes, *, trace_size_bytes: int) -> str:
        """Make the mail durable; return the reply. Raises nothing but CancelledError."""
        try:
            async with asyncio.timeout(self._config.accept_max_s):
                await self._make_durable(incoming, content, trace_size_bytes)
        except (Transient, TimeoutError) as error:
            why = str(error) or f"not done within {self._config.accept_max_s:.0f} s"
            log.warning("mail %s not accepted: %s", incoming.mail_id, why)
            return replies.TRY_LATER
        except Exception:
            log.exception("mail %s not accepted", incoming.mail_id)
            return replies.TRY_LATER
        self._count(incoming, len(content))
        return f"250 2.0.0 {incoming.mail_id} accepted"

    async def _make_durable(
        self, incoming: IncomingMail, content: bytes, trace_size_bytes: int
    ) -> None:
        received_at_ms = now_ms()
        stored = (
            Inline(content)
            if len(content) <= self._config.inline_max_bytes
            else await self._contents.put(incoming.mail_id, content)
        )
        event = MailReceived(
            mail_id=incoming.mail_id,
            envelope=incoming.envelope,
            content=stored,
            trace_size_bytes=trace_size_bytes,
            received_at_ms=received_at_ms,
            hops=(self._hop(incoming),),
        )
        await self._publisher.publish(event)

    def _hop(self, incoming: IncomingMail) -> Hop:
        return Hop(
            stage="ingress",
            started_at_ms=int(incoming.started_at_s * 1000),
            took_ms=round((time.perf_counter() - incoming.started_s) * 1000, 3),
            verdict="accepted",
            attempt=1,
            worker=self._config.worker,
        )

    def _count(self, incoming: IncomingMail, size_bytes: int) -> None:
        took_s = time.perf_counter() - incoming.started_s
        self._stats.accepted_total += 1
        self._stats.accepted_bytes_total += size_bytes
        self._stats.accept_times.seen(took_s)
        log.info(
            "mail %s accepted: %d bytes, %d recipients, %s, %.1f ms",
            incoming.mail_id,
            size_bytes,
            len(incoming.envelope.recipients),
            incoming.envelope.protocol,
            took_s * 1000,
        )
