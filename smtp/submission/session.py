"""The commands of submission (RFC 6409), in the order of a dialogue."""

import time
from functools import partial

from edge.sending_limiter import SendingRateLimited
from edge.sign_in.authenticator import SignedIn
from mail.addresses import POSTMASTER, normal_address
from mail.clock import now_ms
from mail.errors import BadAddress, Transient
from mail.ids import new_id
from mail.sending.sending_limits import SendingLimits
from schemas.ids import MailId
from schemas.submissions import RequestedRecipient
from smtp.server import replies as common_replies
from smtp.server.chunks import BegunMail
from smtp.server.command_syntax import check_charset, check_reverse_path, split_path
from smtp.server.common_commands import syntax
from smtp.server.content_commands import CONTENT_VERBS, ContentCommands, ContentTransaction
from smtp.server.recipients import local_recipients
from smtp.server.replies import Rejection
from smtp.submission import parameters, replies
from smtp.submission.acceptance import OutgoingEnvelope
from smtp.submission.context import SubmissionContext
from smtp.submission.mail_in_progress import MailInProgress, begin_mail
from smtp.submission.parameters import SUBMISSION_LINE_EXTRA_BYTES, SubmissionParameters
from smtp.submission.sign_in import credentials_of, signed_in

PLAIN_PROTOCOLS = {False: "ESMTPSA", True: "UTF8SMTPSA"}  # RFC 3848, RFC 6531 §4.3


class SubmissionTransaction(ContentTransaction):
    """A transaction with its parameters and recipients."""

    __slots__ = ("parameters", "recipients")

    def __init__(self) -> None:
        super().__init__()
        self.parameters = SubmissionParameters()
        self.recipients: dict[str, RequestedRecipient] = {}  # by normal form


class SubmissionSession(ContentCommands):
    """The commands; the state is aiosmtpd's session, a transaction, and who is signed in."""

    site: SubmissionContext
    envelope: SubmissionTransaction
    buffer_bytes = 16 * 1024  # holds the longest line of AUTH
    line_extra_bytes = SUBMISSION_LINE_EXTRA_BYTES
    signed_in: SignedIn | None = None
    failures = 0  # to sign in
    limits = SendingLimits()  # of the user, read at MAIL

    def _create_envelope(self) -> SubmissionTransaction:
        return SubmissionTransaction()

    def capabilities(self) -> bytes:
        config = self.site.config
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + config.hold_max_s))
        extensions = ["DSN", f"FUTURERELEASE {config.hold_max_s} {until}"]
        if self.encrypted:
            extensions.append("AUTH PLAIN LOGIN")
        return self.site.capabilities(*extensions, tls=self.encrypted)

    # sign-in

    @syntax("AUTH mechanism [initial-response]")
    async def auth(self, arg: str | None) -> None:
        if await self.check_helo_needed():
            return
        if not self.encrypted:
            raise Rejection(replies.AUTH_NEEDS_TLS)
        if self.signed_in is not None or self.envelope.reverse_path is not None:
            raise Rejection(common_replies.BAD_SEQUENCE)
        credentials = await credentials_of(arg, self._ask)
        try:
            self.signed_in = await signed_in(
                self.site.ports.authenticator, credentials, self.client
            )
        except Rejection as rejection:
            self.failures += rejection.reply != replies.SIGN_IN_UNAVAILABLE
            if self.failures < self.site.config.sign_in_failures_max:
                raise
            await self.push(rejection.reply)
            await self.hang_up(replies.TOO_MANY_FAILURES)
            return
        self.site.stats.sign_ins_total += 1
        await self.push(replies.SIGNED_IN)

    async def _ask(self, challenge: str) -> bytes | None:
        """Send a challenge; return the client's line."""
        await self.send(challenge.encode() + b"\r\n")
        self.allow(self.site.config.sign_in_s)
        return await self.reader.line()

    def _user_signed_in(self) -> SignedIn:
        """Return who has signed in. Raises Rejection: no user has."""
        if self.signed_in is None:
            self.chatter += 1
            raise Rejection(replies.NEEDS_SIGN_IN if self.encrypted else replies.NEEDS_TLS)
        return self.signed_in

    # envelope

    @syntax("MAIL FROM:<address>", extended=" [SIZE=n] [BODY=8BITMIME] [SMTPUTF8] [RET=FULL|HDRS]")
    async def mail(self, arg: str | None) -> None:
        if await self.check_helo_needed():
            return
        user = self._user_signed_in()
        self.chatter += 1  # until a mail is accepted: each MAIL reads the directory
        path, given = split_path(arg, "FROM:")
        if self.envelope.reverse_path is not None:
            raise Rejection(common_replies.BAD_SEQUENCE)
        if given and not self.session.extended_smtp:
            raise Rejection(common_replies.UNKNOWN_PARAMETER)
        config = self.site.config
        parsed = parameters.of_mail(given, now_ms=now_ms(), hold_max_s=config.hold_max_s)
        check_reverse_path(path, utf8=parsed.utf8)
        if parsed.size_bytes > config.message_max_bytes:
            raise Rejection(common_replies.too_big(config.message_max_bytes))
        if self.site.closed():
            raise Rejection(common_replies.NO_STORAGE)
        if not await self._may_send(user, path):
            return
        self.envelope.reverse_path, self.envelope.parameters = path, parsed
        await self.push("250 2.1.0 sender ok")

    async def _may_send(self, user: SignedIn, path: str) -> bool:
        """Whether the session goes on. Raises Rejection: this mail cannot be sent."""
        try:
            self.limits = await self.site.ports.sending.check(user.user)
            if not await self.site.ports.authenticator.is_current(user):
                await self.hang_up(replies.NO_LONGER_VALID)
                return False
            fault = await self.site.ports.senders.fault(user.user.user_id, [path] if path else [])
        except SendingRateLimited as limited:
            raise Rejection(replies.rate_limited(limited.retry_after_s)) from None
        except Transient:
            raise Rejection(common_replies.TRY_LATER) from None
        if fault is not None:
            raise Rejection(replies.NOT_OWN_SENDER)
        return True

    @syntax("RCPT TO:<address>", extended=" [NOTIFY=...] [ORCPT=...]")
    async def rcpt(self, arg: str | None) -> None:
        if await self.check_helo_needed():
            return
        self._user_signed_in()
        if self.envelope.reverse_path is None or self.envelope.chunks is not None:
            raise Rejection(common_replies.BAD_SEQUENCE)
        path, given = split_path(arg, "TO:")
        self.envelope.any_recipient = True
        if given and not self.session.extended_smtp:
            raise Rejection(common_replies.UNKNOWN_PARAMETER)
        parsed = parameters.of_recipient(given)
        check_charset(path, utf8=self.envelope.parameters.utf8)
        if self.unknown_recipients >= self.site.config.unknown_max:
            await self.hang_up(replies.TOO_MANY_REFUSED)
            return
        try:
            await self._add_recipient(path, parsed)
        except Rejection as rejection:
            self.unknown_recipients += rejection.reply.startswith("550")
            raise
        await self.push("250 2.1.5 recipient ok")

    async def _add_recipient(self, path: str, parsed: parameters.RecipientParameters) -> None:
        """Add a recipient, once by its normal form. Raises Rejection."""
        if path.lower() == POSTMASTER:
            path = f"{path}@{self.site.config.hostname}"
        try:
            normal = normal_address(path)
        except BadAddress:
            raise Rejection(common_replies.BAD_RECIPIENT) from None
        recipients = self.envelope.recipients
        if normal in recipients:
            return
        if len(recipients) >= self.site.config.recipients_max:
            raise Rejection(common_replies.TOO_MANY_RECIPIENTS)
        of_limits = self.limits.recipients_max()
        if of_limits is not None and len(recipients) >= of_limits:
            raise Rejection(common_replies.TOO_MANY_RECIPIENTS)
        size_bytes = self.envelope.parameters.size_bytes
        local = await local_recipients(self.site, path, size_bytes=size_bytes)
        if local is None and self.site.ports.relay.is_off:
            raise Rejection(replies.RELAY_OFF)
        recipients[normal] = RequestedRecipient(
            address=path, notify=parsed.notify, original=parsed.original
        )

    # content

    def _check_transaction(self) -> None:
        """Raises Rejection: there is no sender or no recipient."""
        self._user_signed_in()
        if self.envelope.reverse_path is None or not self.envelope.any_recipient:
            raise Rejection(common_replies.BAD_SEQUENCE)
        if not self.envelope.recipients:
            raise Rejection(common_replies.NO_RECIPIENT)

    async def begin_mail(self) -> BegunMail:
        self._check_transaction()
        progress = await begin_mail(
            self._outgoing(),
            self.site.transfers,
            self.site.ports.sending,
            declared_bytes=self.envelope.parameters.size_bytes,
        )
        progress.transfer.give_way = self.give_way
        return BegunMail(
            transfer=progress.transfer,
            prefix=b"",
            accept=partial(self._accept, progress),
            end=progress.end,
        )

    async def _accept(self, progress: MailInProgress, octets: bytes) -> str:
        return await self.site.acceptance.accept(progress.hand_over(), octets)

    def _outgoing(self) -> OutgoingEnvelope:
        transaction = self.envelope
        return OutgoingEnvelope(
            mail_id=MailId(new_id()),
            user=self._user_signed_in().user,
            reverse_path=transaction.reverse_path or "",
            recipients=tuple(transaction.recipients.values()),
            utf8=transaction.parameters.utf8,
            returned=transaction.parameters.returned,
            envelope_id=transaction.parameters.envelope_id,
            fire_at_ms=transaction.parameters.fire_at_ms,
            client=self.client,
            helo=self.session.host_name,
            protocol=PLAIN_PROTOCOLS[transaction.parameters.utf8],
            started_at_s=time.time(),
            started_s=time.perf_counter(),
        )


SubmissionSession.verbs = CONTENT_VERBS | {
    "AUTH": SubmissionSession.auth,
    "MAIL": SubmissionSession.mail,
    "RCPT": SubmissionSession.rcpt,
}
