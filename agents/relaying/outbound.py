"""Outbound mail: one event of mail.relay for each foreign domain among the recipients."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mail.addresses import normal_domain, split_address
from mail.errors import BadAddress
from mail.ports import ContentStore
from mail.sending.dkim.keys import SigningKey
from mail.sending.dkim.signer import MailDigester, NotSignable, signature_fields
from mail.sending.reverse_path import ReversePaths
from mail.sending.service_key import CannotOpen
from schemas.content import Stored
from schemas.events.mail import MailScanned
from schemas.events.sending import MailRelay
from schemas.holders import Holder, relay_holder
from schemas.mail import Hop
from schemas.submissions import Outgoing, RequestedRecipient

log = logging.getLogger(__name__)
CHUNK_BYTES = 256 * 1024


class Signers(Protocol):
    """The keys with which mail of a domain is signed."""

    async def keys_of(self, domain: str) -> Sequence[SigningKey]:
        """Return the keys in use; none for a foreign domain. Raises CannotOpen."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """Makes the events. None: reverse-paths are not signed; mails are not signed."""

    contents: ContentStore
    reverse_paths: ReversePaths | None = None
    signers: Signers | None = None

    async def relays(
        self, event: MailScanned, outgoing: Outgoing, content: Stored, hop: Hop
    ) -> list[MailRelay]:
        """The events in the order of domains; empty for a draft, or without foreign recipients."""
        if outgoing.is_draft or not outgoing.recipients:
            return []
        queued_at_ms = event.scanned_at_ms or event.received_at_ms
        is_ascii, prefix = await self._read(event, content, signed_at_s=queued_at_ms // 1000)
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
                prefix=prefix,
                eight_bit=not is_ascii,
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

    async def _read(
        self, event: MailScanned, content: Stored, *, signed_at_s: int
    ) -> tuple[bool, bytes]:
        """Whether the mail is ASCII, and its signature fields; b"": it is not signed."""
        keys = await self._keys(event)
        digester, is_ascii = MailDigester(), True
        for start in range(0, content.size_bytes, CHUNK_BYTES):
            chunk = await self.contents.read(content.ref, start=start, size_bytes=CHUNK_BYTES)
            is_ascii = is_ascii and chunk.isascii()
            try:
                if keys:
                    digester.feed(chunk)
            except NotSignable:
                keys = []
        try:
            fields = signature_fields(digester.finish(), keys, signed_at_s=signed_at_s)
        except NotSignable:
            return is_ascii, b""
        return is_ascii, fields if keys else b""

    async def _keys(self, event: MailScanned) -> Sequence[SigningKey]:
        """The keys of the domain in the From field; none, if it is not a domain of this server."""
        address = event.head.sender.address if event.head.sender else ""
        if self.signers is None or "@" not in address:
            return []
        try:
            return await self.signers.keys_of(normal_domain(address.rpartition("@")[2]))
        except (BadAddress, CannotOpen) as error:
            log.warning("%s is not signed: %s", event.mail_id, error)
            return []


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
