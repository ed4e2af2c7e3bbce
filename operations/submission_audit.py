"""Audit of submissions: prove what became of every recipient of the mails that users sent.

The rows of the submission store are the list of what was accepted. A recipient that is not final
needs evidence: the submission is held, or the mail is in a topic or in the relay queue. A mail that
was sent needs its copy in Sent, unless the sender destroyed the copy. What has no evidence is
searched three times in all, since mail moves during the audit.
A store or the broker does not answer: Transient, and nothing is proven. Reads only.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import msgspec

from mail.ids import first_id_at
from operations.ports import SubmissionAuditPorts
from schemas.ids import MailId, SubmissionId
from schemas.submissions import (
    DELIVERED,
    FINAL_STATUSES,
    HELD,
    RELAYED,
    Submission,
)

PAGE = 500
TRIES = 3
PAUSE_S = 1.0  # between tries
MISSING = "missing"


class MissingRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient, or the copy in Sent, that is found nowhere."""

    submission_id: SubmissionId
    what: str
    created_at_ms: int


class SubmissionReport(msgspec.Struct, frozen=True, kw_only=True):
    """`counts`: recipients by status; `lost` are counted as missing."""

    submissions: int
    counts: dict[str, int]
    lost: tuple[MissingRecipient, ...]


async def audit_submissions(
    ports: SubmissionAuditPorts, *, since_ms: int, until_ms: int, pause_s: float = PAUSE_S
) -> SubmissionReport:
    """Account for the submissions created in [since, until). Raises Transient."""
    counts: Counter[str] = Counter()
    number, suspects = 0, []
    async for rows in _pages(ports, since_ms, until_ms):
        number += len(rows)
        counts.update(each.status for row in rows for each in row.recipients)
        suspects += [row.submission_id for row in rows if await _missing(row, ports)]
    lost: list[MissingRecipient] = []
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(pause_s)
        lost = await _search(ports, suspects)
        suspects = sorted({each.submission_id for each in lost})
        if not suspects:
            break
    if lost:
        counts[MISSING] += len(lost)
    return SubmissionReport(submissions=number, counts=dict(counts), lost=tuple(lost))


async def _pages(
    ports: SubmissionAuditPorts, since_ms: int, until_ms: int
) -> AsyncIterator[list[Submission]]:
    after = SubmissionId(first_id_at(since_ms))
    end = first_id_at(until_ms)
    while rows := await ports.submissions.walk(after=after, limit=PAGE):
        yield [row for row in rows if row.submission_id < end]
        after = rows[-1].submission_id
        if after >= end:
            break


async def _search(
    ports: SubmissionAuditPorts, submission_ids: Sequence[SubmissionId]
) -> list[MissingRecipient]:
    """Search the log for the submissions, then read their rows again."""
    mail_ids = [MailId(each) for each in submission_ids]
    waiting = await ports.in_flight.waiting(mail_ids) if mail_ids else {}
    lost: list[MissingRecipient] = []
    for submission_id in submission_ids:
        row = await ports.submissions.get(submission_id)
        if row is not None and row.mail.mail_id not in waiting:
            lost += await _missing(row, ports)
    return lost


async def _missing(row: Submission, ports: SubmissionAuditPorts) -> list[MissingRecipient]:
    """What of a submission has no evidence in the stores."""
    if row.status == HELD:
        return []
    unfinished = [each for each in row.recipients if each.status not in FINAL_STATUSES]
    queued = await ports.queued(row.mail.mail_id) if unfinished else ()
    missing = [
        f"{each.address} is {each.status}, and no topic or queue has the mail"
        for each in unfinished
        if each.address not in queued
    ]
    was_sent = any(each.status in {DELIVERED, RELAYED} for each in row.recipients)
    if was_sent and row.mail.is_saved:
        copy = await ports.store.message(row.user_id, row.message_id)
        missing += [] if copy else ["the copy in Sent does not exist"]
    return [
        MissingRecipient(
            submission_id=row.submission_id, what=what, created_at_ms=row.created_at_ms
        )
        for what in missing
    ]
