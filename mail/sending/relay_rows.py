"""Rows of the relay queue after each step: pure functions that both adapters of RelayQueue use."""

from collections.abc import Sequence

import msgspec

from mail.ids import derived_command_id
from mail.ports.relay_queue import ClaimLost
from schemas.events.sending import MailRelay
from schemas.ids import CommandId
from schemas.relay import DONE, WAITING, RelayOutcome, RelayReport, RelayRow
from schemas.submissions import DEFERRED, RELAYED, RecipientResult


def is_due(row: RelayRow, now_ms: int) -> bool:
    """Whether the row may be claimed."""
    return row.state == WAITING and not row.report_id and row.next_attempt_at_ms <= now_ms


def claimed(row: RelayRow, claim: str, *, until_ms: int) -> RelayRow:
    """The row with an attempt that begins; an earlier process may have left a mark."""
    return msgspec.structs.replace(
        row,
        claim=claim,
        attempts=row.attempts + 1,
        marked_at_ms=None,
        next_attempt_at_ms=until_ms,
    )


def unclaimed(row: RelayRow, *, at_ms: int) -> RelayRow:
    return msgspec.structs.replace(row, claim="", next_attempt_at_ms=at_ms)


def marked(
    rows: Sequence[RelayRow], current: Sequence[RelayRow | None], *, at_ms: int, until_ms: int
) -> list[RelayRow]:
    """The rows before their final dot. Raises ClaimLost: a row is not claimed as in `rows`."""
    after = []
    for row, now in zip(rows, current, strict=True):
        if now is None or not _is_claimed_as(now, row):
            raise ClaimLost(f"{row.mail_id} for {row.destination} is claimed by another process")
        after.append(msgspec.structs.replace(now, marked_at_ms=at_ms, next_attempt_at_ms=until_ms))
    return after


def recorded(
    outcomes: Sequence[RelayOutcome], current: Sequence[RelayRow | None]
) -> list[RelayRow]:
    """The rows after an attempt, without those that the results no longer concern."""
    taken = [
        (now, outcome.result)
        for outcome, now in zip(outcomes, current, strict=True)
        if now is not None and _concerns(outcome, now)
    ]
    report_id = _report_id([now for now, _ in taken])
    return [_after(now, result, report_id) for now, result in taken]


def reported(row: RelayRow) -> RelayRow:
    return msgspec.structs.replace(row, report_id=CommandId(""))


def report_of(mail: MailRelay, rows: Sequence[RelayRow]) -> RelayReport:
    """The report of the rows of one attempt."""
    return RelayReport(
        report_id=rows[0].report_id,
        mail=mail,
        results=tuple(row.result for row in rows if row.result is not None),
    )


def is_open(row: RelayRow) -> bool:
    """Whether the row needs the mail's content, or its result is not reported."""
    return row.state != DONE or bool(row.report_id)


def _is_claimed_as(now: RelayRow, row: RelayRow) -> bool:
    return (
        now.state == WAITING
        and not now.report_id
        and (now.claim, now.attempts) == (row.claim, row.attempts)
    )


def _concerns(outcome: RelayOutcome, now: RelayRow) -> bool:
    """A result of the present claim; or the mail was relayed by a process that lost its claim."""
    if now.state == DONE or now.report_id:
        return False
    return outcome.result.status == RELAYED or _is_claimed_as(now, outcome.row)


def _after(row: RelayRow, result: RecipientResult, report_id: CommandId) -> RelayRow:
    is_waiting = result.status == DEFERRED
    next_ms = result.next_attempt_at_ms if is_waiting else result.at_ms
    return msgspec.structs.replace(
        row,
        state=WAITING if is_waiting else DONE,
        next_attempt_at_ms=next_ms or result.at_ms,
        claim="",
        marked_at_ms=None,
        report_id=report_id,
        is_delay_notified=row.is_delay_notified or result.is_delay,
        result=result,
    )


def _report_id(rows: Sequence[RelayRow]) -> CommandId:
    """The id of the report; derived from mail, recipients and attempts, so it is made once."""
    attempts = sorted(f"{row.recipient.address} {row.attempts}" for row in rows)
    return derived_command_id(rows[0].mail_id, "relay", *attempts) if rows else CommandId("")
