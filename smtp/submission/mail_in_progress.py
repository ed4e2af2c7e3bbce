"""A mail whose octets are being read: its envelope, its slot, and that it counts for its sender."""

from edge.sending_limiter import SendingLimiter, SendingRateLimited
from mail.errors import Transient
from smtp.server import replies as common_replies
from smtp.server.replies import Rejection
from smtp.server.transfers import Transfer, Transfers
from smtp.submission import replies
from smtp.submission.acceptance import OutgoingEnvelope


class MailInProgress:
    """Created by `begin_mail`; `end` must follow, or `hand_over` and `end`."""

    def __init__(
        self,
        envelope: OutgoingEnvelope,
        transfer: Transfer,
        transfers: Transfers,
        sending: SendingLimiter,
    ) -> None:
        self.envelope = envelope
        self.transfer = transfer
        self._transfers = transfers
        self._sending = sending
        self._is_handed_over = False

    def hand_over(self) -> OutgoingEnvelope:
        """The envelope, for the acceptance, which decides from now on whether the mail counts."""
        self._is_handed_over = True
        return self.envelope

    def end(self) -> None:
        """Release slot and memory; a mail that was not handed over does not count. Repeatable."""
        self._transfers.end(self.transfer)
        if not self._is_handed_over:
            self._sending.release(self.envelope.mail_id)


async def begin_mail(
    envelope: OutgoingEnvelope,
    transfers: Transfers,
    sending: SendingLimiter,
    *,
    declared_bytes: int,
) -> MailInProgress:
    """Count the mail for its sender and take a slot. Raises Rejection."""
    try:
        await sending.admit(envelope.user, envelope.mail_id, recipients=len(envelope.recipients))
    except SendingRateLimited as limited:
        raise Rejection(replies.rate_limited(limited.retry_after_s)) from None
    except Transient:
        raise Rejection(common_replies.TRY_LATER) from None
    transfer = transfers.begin(envelope.client, declared_bytes)
    if transfer is None:
        sending.release(envelope.mail_id)
        raise Rejection(common_replies.BUSY)
    return MailInProgress(envelope, transfer, transfers, sending)
