"""Quarantine rules: the row after an operator releases or deletes it, for all adapters."""

import msgspec

from mail.errors import NotFound
from schemas.ids import MailId
from schemas.mail import Envelope, HeaderSummary
from schemas.quarantine import Quarantined


def released(row: Quarantined | None, mail_id: MailId, *, by: str, at_ms: int) -> Quarantined:
    """The row after a release: the first release is kept, and each is to be published.

    Raises NotFound: the mail is not in quarantine.
    """
    kept = _existing(row, mail_id)
    if kept.released_at_ms is not None:
        return msgspec.structs.replace(kept, unpublished=True)
    return msgspec.structs.replace(kept, released_at_ms=at_ms, released_by=by, unpublished=True)


def deleted(row: Quarantined | None, mail_id: MailId, *, by: str, at_ms: int) -> Quarantined:
    """The row after deletion: without envelope and header summary.

    Raises NotFound: the mail is not in quarantine.
    """
    nothing = Envelope(reverse_path="", recipients=())
    return msgspec.structs.replace(
        _existing(row, mail_id),
        envelope=nothing,
        head=HeaderSummary(),
        unpublished=False,
        deleted_at_ms=at_ms,
        deleted_by=by,
    )


def _existing(row: Quarantined | None, mail_id: MailId) -> Quarantined:
    if row is None or row.deleted_at_ms is not None:
        raise NotFound(f"mail {mail_id} is not in quarantine")
    return row


def is_listed(row: Quarantined, reason: str | None) -> bool:
    """Whether lists show the row; `reason` None shows all reasons."""
    return row.deleted_at_ms is None and reason in {None, row.reason}
