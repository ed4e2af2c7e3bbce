"""Actions of operators on rows of the relay queue: pure functions.

retry: the next attempt is due now. hold: no attempt until release. cancel: no attempt any more, and
the sender's submission says so. bounce: the same, and the sender gets a notice.
"""

import msgspec

from mail.ids import derived_command_id
from mail.ports.relay_queue import RelayAction
from schemas.relay import DONE, HELD, WAITING, RelayFilter, RelayKey, RelayRow
from schemas.submissions import CANCELED, FAILED, RecipientResult, RecipientStatus

BY_OPERATOR = "5.7.0"  # RFC 3463 §3.8
_TEXTS = {CANCELED: "canceled by the operator", FAILED: "returned by the operator"}


def key_of(row: RelayRow) -> RelayKey:
    return row.mail_id, row.destination, row.recipient.address


def changed(row: RelayRow, action: RelayAction, *, at_ms: int) -> RelayRow | None:
    """The row after the action; None: the action does not apply to it now."""
    if row.state == DONE or row.marked_at_ms is not None or row.report_id:
        return None
    match action:
        case "retry" | "release":
            is_idle = row.state == HELD or (action == "retry" and not row.claim)
            return _waiting(row, at_ms) if is_idle else None
        case "hold":
            held = msgspec.structs.replace(row, state=HELD, claim="")
            return held if row.state == WAITING else None
        case "cancel":
            return _ended(row, CANCELED, at_ms)
        case "bounce":
            return _ended(row, FAILED, at_ms)


def meets(row: RelayRow, conditions: RelayFilter) -> bool:
    """Whether the row meets the conditions on its address, its state and its last result."""
    if conditions.state:
        if row.state != conditions.state:
            return False
    elif row.state == DONE and not conditions.mail_id:
        return False
    if conditions.address and row.recipient.address.lower() != conditions.address.lower():
        return False
    reason = f"{row.result.code} {row.result.detail}" if row.result else ""
    return conditions.reason.lower() in reason.lower()


def _waiting(row: RelayRow, at_ms: int) -> RelayRow:
    return msgspec.structs.replace(row, state=WAITING, next_attempt_at_ms=at_ms)


def _ended(row: RelayRow, status: RecipientStatus, at_ms: int) -> RelayRow:
    address = row.recipient.address
    result = RecipientResult(
        address=address,
        status=status,
        code=BY_OPERATOR,
        detail=_TEXTS[status],
        attempts=row.attempts,
        at_ms=at_ms,
    )
    return msgspec.structs.replace(
        row,
        state=DONE,
        next_attempt_at_ms=at_ms,
        claim="",
        report_id=derived_command_id(row.mail_id, "relay", status, address),
        result=result,
    )
