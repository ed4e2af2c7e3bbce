"""Relay queue: list and change the recipients of other domains, by mail or by conditions.

A change is in the queue when a function returns; the role relay sees it within a second. Changing
again does nothing more.
"""

from collections.abc import Iterable

from mail.errors import NotFound
from mail.ports.relay_queue import NO_KEY, RelayAction, RelayQueueAdmin
from mail.sending.relay_actions import key_of
from mail.sending.relay_rows import is_open
from schemas.ids import MailId
from schemas.relay import QueuedRecipient, RelayFilter

PAGE = 500  # rows read or changed at once
RECIPIENTS_MAX = 1_000  # of one mail, by any setting


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
