"""Outbound mail: one event of mail.relay for each foreign domain among the recipients."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mail.addresses import normal_domain, split_address
from mail.ports import ContentStore
from mail.sending.reverse_path import ReversePaths
from schemas.content import Stored
from schemas.events.mail import MailScanned
from schemas.events.sending import MailRelay
from schemas.holders import Holder, relay_holder
from schemas.mail import Hop
from schemas.submissions import Outgoing, RequestedRecipient

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """Makes the events. `reverse_paths` None: reverse-paths are not signed."""

    contents: ContentStore
    reverse_paths: ReversePaths | None = None

    async def relays(
        self, event: MailScanned, outgoing: Outgoing, content: Stored, hop: Hop
    ) -> list[MailRelay]:
        """The events in the order of domains; empty for a draft, or without foreign recipients."""
        if outgoing.is_draft or not outgoing.recipients:
            return []
        queued_at_ms = event.scanned_at_ms or event.received_at_ms
        eight_bit = not await self._is_ascii(content)
        return [
            MailRelay(
                mail_id=event.mail_id,
                submission_id=outgoing.submission_id,
                user_id=outgoing.user_id,
                domain_id=outgoing.domain_id,
                destination=destination,
                reverse_path=self._reverse_path(event, queued_at_ms),
                recipients=recipients,
                content=content,
                eight_bit=eight_bit,
                needs_smtputf8=outgoing.needs_smtputf8,
                envelope_id=outgoing.envelope_id,
                returned=outgoing.returned,
                received_at_ms=event.received_at_ms,
                queued_at_ms=queued_at_ms,
                hops=(*event.hops, hop),
            )
            for destination, recipients in by_domain(outgoing.recipients)
        ]

    def _reverse_path(self, event: MailScanned, queued_at_ms: int) -> str:
        reverse_path = event.envelope.reverse_path
        if self.reverse_paths is None or not reverse_path:
            return reverse_path
        domain = normal_domain(split_address(reverse_path)[1])
        return self.reverse_paths.make(event.mail_id, domain, now_ms=queued_at_ms)

    async def _is_ascii(self, content: Stored) -> bool:
        for start in range(0, content.size_bytes, CHUNK_BYTES):
            chunk = await self.contents.read(content.ref, start=start, size_bytes=CHUNK_BYTES)
            if not chunk.isascii():
                return False
        return True


def by_domain(
    recipients: Iterable[RequestedRecipient],
) -> Sequence[tuple[str, tuple[RequestedRecipient, ...]]]:
    """The recipients of each domain, which is in normal form."""
    groups: dict[str, list[RequestedRecipient]] = {}
    for each in recipients:
        groups.setdefault(normal_domain(split_address(each.address)[1]), []).append(each)
    return [(domain, tuple(groups[domain])) for domain in sorted(groups)]


def holder(relay: MailRelay) -> Holder:
    """The reason to keep the content until the mail has reached the domain, or failed."""
    name = relay_holder(relay.destination)
    return Holder(mail_id=relay.mail_id, holder=name, ref=relay.content.ref)
