"""What the submission server needs; cli passes in the adapters."""

from dataclasses import dataclass

from edge.deposits.room import OwnerRoom
from edge.sending_limiter import SendingLimiter
from edge.sign_in.authenticator import Authenticator
from mail.ports import ContentStore, IntakeGate, Publisher, QuotaCheck, Resolver
from mail.sending.relay_setting import RelaySetting
from mail.sending.sender_check import SenderCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class MsaPorts:
    """The server reads directory, usage and submissions, and publishes `Submit`."""

    authenticator: Authenticator
    resolver: Resolver
    room: QuotaCheck  # of local recipients
    own_room: OwnerRoom  # of the sender, for the copy in Sent
    senders: SenderCheck
    sending: SendingLimiter
    relay: RelaySetting
    publisher: Publisher
    contents: ContentStore
    gate: IntakeGate
