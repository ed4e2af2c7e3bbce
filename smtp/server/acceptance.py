"""Taking a mail: content first, then the event, then the 250, and on any doubt a 451.

A try is bounded. When it ends without an acknowledgement the client is told to come back, and comes
with a new mail id; had the late event reached the log after all, the recipient gets the mail twice.
RFC 5321 §6.1 and §4.5.4.1 choose that over losing it, and so do we.
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
from schemas.mail import Envelope, Hop
from smtp.server import replies
from smtp.server.config import SmtpConfig
from smtp.server.stats import SmtpStats

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMail:
    """A mail whose data is being read. Its id was made before the first byte came."""

    mail_id: str
    envelope: Envelope
    started_at_s: float  # Unix time
    started_s: float  # the monotonic clock


class Acceptance:
    """The only place that says 250 to a mail."""

    def __init__(
        self, config: SmtpConfig, stats: SmtpStats, *, publisher: Publisher, contents: ContentStore
    ) -> None:
        self._config = config
        self._stats = stats
        self._publisher = publisher
        self._contents = contents

    async def accept(self, arrival: IncomingMail, content: bytes, *, trace_size_bytes: int) -> str:
        """The reply for the client; never raises but for a cancellation."""
        try:
            async with asyncio.timeout(self._config.accept_max_s):
                await self._make_durable(arrival, content, trace_size_bytes)
        except (Transient, TimeoutError) as error:
            log.warning("mail %s not accepted: %s", arrival.mail_id, error or "no answer in time")
            return replies.TRY_LATER
        except Exception:
            log.exception("mail %s not accepted", arrival.mail_id)
            return replies.TRY_LATER
        self._count(arrival, len(content))
        return f"250 2.0.0 {arrival.mail_id} accepted"

    async def _make_durable(
        self, arrival: IncomingMail, content: bytes, trace_size_bytes: int
    ) -> None:
        received_at_ms = now_ms()
        place = (
            Inline(content)
            if len(content) <= self._config.inline_max_bytes
            else await self._contents.put(arrival.mail_id, content)
        )
        event = MailReceived(
            mail_id=arrival.mail_id,
            envelope=arrival.envelope,
            content=place,
            trace_size_bytes=trace_size_bytes,
            received_at_ms=received_at_ms,
            hops=(self._hop(arrival),),
        )
        await self._publisher.publish(event)

    def _hop(self, arrival: IncomingMail) -> Hop:
        return Hop(
            stage="ingress",
            started_at_ms=int(arrival.started_at_s * 1000),
            took_ms=round((time.perf_counter() - arrival.started_s) * 1000, 3),
            verdict="accepted",
            attempt=1,
            worker=self._config.worker,
        )

    def _count(self, arrival: IncomingMail, size_bytes: int) -> None:
        took_s = time.perf_counter() - arrival.started_s
        self._stats.accepted_total += 1
        self._stats.accepted_bytes_total += size_bytes
        self._stats.accept_times.seen(took_s)
        log.info(
            "mail %s accepted: %d bytes, %d recipients, %s, %.1f ms",
            arrival.mail_id,
            size_bytes,
            len(arrival.envelope.recipients),
            arrival.envelope.protocol,
            took_s * 1000,
        )
