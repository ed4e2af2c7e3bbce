"""Composition of a mail from the body of a request: octets, envelope, and what goes with it.

`compose_submission` is for a mail that is sent, `compose_draft` for one that is saved. Both check
the same fields. The same request with the same id and time gives the same octets.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from api.composing.addresses import addresses_of, forward_paths
from api.composing.attachments import AttachmentReader
from api.composing.author import Author
from api.composing.originals import originals_of
from api.composing.requests import DraftInput, MailInput, SubmissionInput
from api.composing.sender import sender_of
from api.problems import unavailable
from edge.fair_turns import QueueFull
from mail.addresses import split_address
from mail.clock import DAY_MS
from mail.composing.composer import ComposedMail, compose
from mail.composing.draft_field import DraftQuote, DraftState, draft_field
from mail.composing.faults import ComposingFault
from mail.composing.header_fields import written_address
from mail.composing.outgoing_mail import OutgoingMail
from mail.composing.sent_copies import for_recipients
from mail.errors import Refused
from mail.query.values import zone_of
from schemas.ids import MailId, MessageId
from schemas.mailbox import Message
from schemas.user_settings import UserSettings

SEND_AT_MAX_DAYS = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedSubmission:
    """A mail that can be sent, with its envelope (RFC 5321 §2.3.1)."""

    octets: bytes  # as recipients get it
    own_copy: bytes | None  # for Sent, if it has Bcc; None: as recipients get it
    envelope_from: str
    recipients: tuple[str, ...]  # forward-paths, at least one, each once
    needs_smtputf8: bool
    message_id: str  # the field's value without brackets
    send_at_ms: int | None  # None: now
    undo_s: int  # how long the author may cancel it
    draft: Message | None  # the version of the draft that it replaces
    in_reply_to: MessageId | None  # the author's message that is $answered
    forward_of: MessageId | None  # the author's message that is $forwarded


async def compose_submission(
    author: Author, body: SubmissionInput, *, mail_id: MailId, at_ms: int
) -> ComposedSubmission:
    """Compose a mail to send.

    Raises ComposingFault: the mail cannot be sent as it is, or its draft is gone, as after it was
    sent; answered with 422 and the place. Problem 503: too many wait. Transient.
    """
    draft = None
    if body.draft_id is not None:
        draft = await author.draft(body.draft_id)
        if draft is None:
            raise ComposingFault("draft_id", "There is no such draft; it may have been sent.")
    settings = (await author.context.ports.store.settings(author.user.user_id)).settings
    send_at_ms = None if body.send_at is None else _send_at(body.send_at, at_ms)
    if not (body.to or body.cc or body.bcc):
        raise ComposingFault("to", "At least one recipient.")
    writer = _Writer(author, settings, mail_id, at_ms, draft)
    async with _turn(author):
        mail = await writer.mail(body, is_sent=True)
        composed = await writer.composed(mail)
    return ComposedSubmission(
        octets=for_recipients(composed.octets),
        own_copy=composed.octets if mail.bcc else None,
        envelope_from=written_address(mail.sender.address),
        recipients=forward_paths(mail),
        needs_smtputf8=composed.needs_smtputf8,
        message_id=mail.message_id,
        send_at_ms=send_at_ms,
        undo_s=_undo_s(author, settings) if body.undo_s is None else body.undo_s,
        draft=draft,
        in_reply_to=None if body.in_reply_to is None else MessageId(body.in_reply_to),
        forward_of=None if body.forward_of is None else MessageId(body.forward_of),
    )


async def compose_draft(
    author: Author, body: DraftInput, *, draft_id: str, at_ms: int, draft: Message | None
) -> bytes:
    """Return the octets of a draft, from which all fields of `body` can be read again.

    `draft`: its present version. All versions have the same Message-ID. Raises as
    `compose_submission`.
    """
    settings = (await author.context.ports.store.settings(author.user.user_id)).settings
    writer = _Writer(author, settings, MailId(draft_id), at_ms, draft)
    async with _turn(author):
        composed = await writer.composed(await writer.mail(body, is_sent=False))
    return draft_field(_state(body, composed)) + composed.octets


@dataclass(frozen=True, slots=True)
class _Writer:
    """The author of one mail, and the id and time of the mail."""

    author: Author
    settings: UserSettings
    mail_id: MailId
    at_ms: int
    draft: Message | None

    async def mail(self, body: MailInput, *, is_sent: bool) -> OutgoingMail:
        """Return the mail of `body`, with everything that it refers to."""
        sender = await sender_of(self.author, body, self.settings)
        reader = AttachmentReader(
            author=self.author,
            draft=self.draft,
            size_max_bytes=self.author.context.config.message_max_bytes,
        )
        mail = OutgoingMail(
            mail_id=self.mail_id,
            message_id=f"{self.mail_id}@{_domain_of(sender.address.address)}",
            date_ms=self.at_ms,
            sender=sender.address,
            to=addresses_of("to", body.to),
            cc=addresses_of("cc", body.cc),
            bcc=addresses_of("bcc", body.bcc),
            reply_to=addresses_of("reply_to", body.reply_to)
            or (sender.reply_to if is_sent else ()),
            subject=body.subject,
            text="" if body.text is None and body.html is None else body.text,
            html=body.html,
            headers=tuple(body.headers.items()),
            language=self.settings.language,
            zone=_zone_of(self.settings),
        )
        originals = await originals_of(self.author, body, is_sent=is_sent)
        return replace(
            mail,
            in_reply_to=originals.in_reply_to,
            references=originals.references,
            quote=originals.quote,
            attachments=(*await reader.read(body.attachments), *originals.images),
        )

    async def composed(self, mail: OutgoingMail) -> ComposedMail:
        """Compose on a thread: a large mail takes up to a second."""
        context = self.author.context
        with context.work_shares.charged(self.author.user.user_id):
            return await asyncio.to_thread(
                compose, mail, size_max_bytes=context.config.message_max_bytes
            )


@asynccontextmanager
async def _turn(author: Author) -> AsyncIterator[None]:
    """Wait for one of the few places: a mail that is composed takes memory for its files."""
    context = author.context
    try:
        async with context.compose_turns.turn(author.user.user_id):
            yield
    except QueueFull:
        raise unavailable(context.config.retry_after_s) from None


def _state(body: DraftInput, composed: ComposedMail) -> DraftState:
    quote = None
    if body.quote is not None:
        quote = DraftQuote(
            message_id=body.quote.message_id, kind=body.quote.kind, include=body.quote.include
        )
    return DraftState(
        identity_id=body.identity_id,
        in_reply_to=body.in_reply_to,
        forward_of=body.forward_of,
        quote=quote,
        client_id=body.client_id,
        upload_ids=tuple(body.attachments[number].upload_id or "" for number in composed.order),
        is_text_made=body.text is None,
    )


def _undo_s(author: Author, settings: UserSettings) -> int:
    """The author's setting; a user who keeps its default gets that of the service."""
    chosen = settings.undo_send_s != UserSettings().undo_send_s
    return settings.undo_send_s if chosen else author.context.config.undo_s


def _domain_of(address: str) -> str:
    return split_address(written_address(address))[1]


def _zone_of(settings: UserSettings) -> tzinfo:
    try:
        return zone_of(settings.zone) if settings.zone else UTC
    except Refused:
        return UTC


def _send_at(text: str, at_ms: int) -> int:
    """Return the moment. Raises ComposingFault: it is not in the future, or too far in it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901  (without a zone, so refused below)
    if moment.tzinfo is None:
        raise ComposingFault("send_at", "A moment of RFC 3339, such as 2026-11-30T08:00:00+09:00.")
    send_at_ms = int(moment.timestamp() * 1000)
    if not at_ms < send_at_ms <= at_ms + SEND_AT_MAX_DAYS * DAY_MS:
        raise ComposingFault("send_at", f"In the future, at most {SEND_AT_MAX_DAYS} days.")
    return send_at_ms
