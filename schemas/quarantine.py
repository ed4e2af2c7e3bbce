"""The quarantine row: a mail that was accepted and must not be delivered."""

from typing import Literal

import msgspec

from schemas.content import Stored
from schemas.ids import MailId
from schemas.mail import Envelope, HeaderSummary, Hop, Verdict
from schemas.submissions import Outgoing

QuarantineReason = Literal["infected", "spam", "unscannable"]


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that ended in quarantine: infected, far over the spam threshold, or unscannable."""

    mail_id: MailId
    reason: QuarantineReason
    verdict: Verdict
    envelope: Envelope
    head: HeaderSummary
    content: Stored
    received_at_ms: int
    quarantined_at_ms: int
    hops: tuple[Hop, ...]
    released_at_ms: int | None = None
    released_by: str = ""
    unpublished: bool = False  # released, and possibly not published yet
    deleted_at_ms: int | None = None  # when set, envelope and head are empty
    deleted_by: str = ""
    outgoing: Outgoing | None = None  # of a mail that a user sends
