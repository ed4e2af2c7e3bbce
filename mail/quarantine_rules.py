"""What becomes of a quarantined row when an operator acts on it; the same for every adapter."""

import msgspec

from mail.errors import NotFound
from schemas.mail import Envelope, HeaderSummary
from schemas.quarantine import Quarantined


def released(row: Quarantined | None, mail_id: str, *, by: str, at_ms: int) -> Quarantined:
    """The first release stays; each is to be published. NotFound."""
    kept = _there(row, mail_id)
    if kept.released_at_ms is not None:
        return msgspec.structs.replace(kept, unpublished=True)
    return msgspec.structs.replace(kept, released_at_ms=at_ms, released_by=by, unpublished=True)


def deleted(row: Quarantined | None, mail_id: str, *, by: str, at_ms: int) -> Quarantined:
    """Only its end, its verdict and its hops are kept. NotFound."""
    nothing = Envelope(reverse_path="", recipients=())
    return msgspec.structs.replace(
        _there(row, mail_id),
        envelope=nothing,
        head=HeaderSummary(),
        unpublished=False,
        deleted_at_ms=at_ms,
        deleted_by=by,
    )


def _there(row: Quarantined | None, mail_id: str) -> Quarantined:
    if row is None or row.deleted_at_ms is not None:
        raise NotFound(f"mail {mail_id} is not in quarantine")
    return row


def is_listed(row: Quarantined, reason: str | None) -> bool:
    return row.deleted_at_ms is None and reason in {None, row.reason}
