"""Relay queue: list and change the recipients of other domains, by mail or by conditions.

A change is in the queue when a function returns; the role relay sees it within a second. Changing
again does nothing more.
"""

from collections.abc import Iterable

import msgspec

from mail.addresses import normal_domain
from mail.clock import rfc3339
from mail.errors import NotFound
from mail.ports import Users
from mail.ports.relay_queue import NO_KEY, RelayAction, RelayQueueAdmin
from mail.sending.relay_actions import key_of
from mail.sending.relay_rows import is_open
from operations.accounts import get_user
from schemas.ids import MailId, UserId
from schemas.relay import WAITING, QueuedRecipient, RelayFilter, RelayState

PAGE = 500  # rows read or changed at once
RECIPIENTS_MAX = 1_000  # of one mail, by any setting


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient in the queue, for operators; `is_in_doubt`: the peer may have taken the mail."""

    mail_id: MailId
    address: str
    domain: str
    user_id: UserId
    state: RelayState
    attempts: int
    queued_at: str
    next_attempt_at: str | None
    is_in_doubt: bool
    code: str | None
    detail: str | None
    server: str | None


def queue_row(each: QueuedRecipient) -> QueueRow:
    row, result = each.row, each.row.result
    return QueueRow(
        mail_id=row.mail_id,
        address=row.recipient.address,
        domain=row.destination,
        user_id=each.mail.user_id,
        state=row.state,
        attempts=row.attempts,
        queued_at=rfc3339(each.mail.queued_at_ms),
        next_attempt_at=rfc3339(row.next_attempt_at_ms) if row.state == WAITING else None,
        is_in_doubt=row.marked_at_ms is not None,
        code=result.code if result else None,
        detail=result.detail if result else None,
        server=result.server if result else None,
    )


async def conditions_of(
    users: Users,
    *,
    domain: str = "",
    address: str = "",
    sender: str = "",
    before_ms: int | None = None,
    reason: str = "",
) -> RelayFilter:
    """Return the filter of what an operator named.

    Raises NotFound: no user has the address `sender`; BadAddress.
    """
    user_id = (await get_user(users, sender)).user_id if sender else UserId("")
    return RelayFilter(
        destination=normal_domain(domain) if domain else "",
        address=address,
        user_id=user_id,
        queued_before_ms=before_ms,
        reason=reason,
    )


async def found(
    queue: RelayQueueAdmin, conditions: RelayFilter, *, limit: int
) -> list[QueuedRecipient]:
    """Return at most `limit` rows that meet the conditions, by mail id: the oldest mail first."""
    rows: list[QueuedRecipient] = []
    after = NO_KEY
    while len(rows) < limit:
        page_size = min(limit - len(rows), PAGE)
        page = await queue.find(conditions, after=after, limit=page_size)
        rows += page
        if len(page) < page_size:
            break
        after = key_of(page[-1].row)
    return rows


async def of_mail(queue: RelayQueueAdmin, mail_id: MailId) -> list[QueuedRecipient]:
    """Return the rows of a mail, also those that are done. Raises NotFound."""
    rows = await found(queue, RelayFilter(mail_id=mail_id), limit=RECIPIENTS_MAX)
    if not rows:
        raise NotFound(f"mail {mail_id} is not in the relay queue: see postriver trace {mail_id}")
    return rows


async def queued_addresses(queue: RelayQueueAdmin, mail_id: MailId) -> set[str]:
    """Return the recipients of a mail that are not done, or whose result is not reported."""
    rows = await found(queue, RelayFilter(mail_id=mail_id), limit=RECIPIENTS_MAX)
    return {each.row.recipient.address for each in rows if is_open(each.row)}


async def change(
    queue: RelayQueueAdmin, conditions: Iterable[RelayFilter], action: RelayAction, *, at_ms: int
) -> int:
    """Apply `action` to the rows that meet any of the conditions; return how many changed."""
    changed = 0
    for each in conditions:
        after, page_size = NO_KEY, PAGE
        while page_size == PAGE:
            page = [key_of(one.row) for one in await queue.find(each, after=after, limit=PAGE)]
            changed += len(await queue.change(page, action, at_ms=at_ms)) if page else 0
            page_size = len(page)
            after = page[-1] if page else after
    return changed
