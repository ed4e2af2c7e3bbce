"""Relay queue in memory."""

from collections.abc import Callable, Collection, Iterable, Sequence

from mail.pagination import check_limit
from mail.ports.mail_transport import RECIPIENTS_MAX
from mail.ports.relay_queue import RelayQueue
from mail.sending import relay_rows as rules
from schemas.events.sending import MailRelay
from schemas.ids import CommandId, MailId
from schemas.relay import (
    WAITING,
    RelayBatch,
    RelayedMail,
    RelayOutcome,
    RelayReport,
    RelayRow,
)
from stores.memory.faults import FaultHook, no_fault, take_step
from stores.memory.relay_administration import MemoryRelayAdministration

CLAIMS_MAX = 500
_MailKey = tuple[MailId, str]


class MemoryRelayQueue(MemoryRelayAdministration, RelayQueue):
    """Steps for `fault`: put, claim, mark, record, report, read, delete."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self.mails: dict[_MailKey, MailRelay] = {}
        self.rows: dict[_MailKey, dict[str, RelayRow]] = {}
        self.released: set[_MailKey] = set()
        self.turns: dict[str, int] = {}  # when a destination was claimed last

    async def put(self, mail: MailRelay, *, partition: int, at_ms: int) -> None:
        await take_step(self.fault, "put")
        key = (mail.mail_id, mail.destination)
        self.mails.setdefault(key, mail)
        rows = self.rows.setdefault(key, {})
        for each in mail.recipients:
            row = RelayRow(
                mail_id=mail.mail_id,
                destination=mail.destination,
                recipient=each,
                partition=partition,
                state=WAITING,
                next_attempt_at_ms=at_ms,
            )
            rows.setdefault(each.address, row)

    async def claim(
        self,
        partitions: Collection[int],
        *,
        claim: str,
        now_ms: int,
        until_ms: int,
        busy: Collection[str] = (),
        limit: int,
    ) -> list[RelayBatch]:
        check_limit(limit)
        await take_step(self.fault, "claim")
        due: dict[str, list[RelayRow]] = {}
        for row in self._rows(partitions, lambda row: rules.is_due(row, now_ms)):
            if row.destination not in busy:
                due.setdefault(row.destination, []).append(row)
        earliest = {
            destination: min(rows, key=lambda row: row.next_attempt_at_ms)
            for destination, rows in due.items()
        }
        turns = {
            destination: max(self.turns.get(destination, 0), row.next_attempt_at_ms)
            for destination, row in earliest.items()
        }
        chosen = sorted(
            (turn, destination) for destination, turn in turns.items() if turn <= now_ms
        )
        batches = []
        for _, destination in chosen[:limit]:
            mail_id = earliest[destination].mail_id
            rows = sorted(
                (row for row in due[destination] if row.mail_id == mail_id),
                key=lambda row: row.recipient.address,
            )[:RECIPIENTS_MAX]
            taken = [rules.claimed(row, claim, until_ms=until_ms) for row in rows]
            self._replace(taken)
            self.turns[destination] = now_ms
            mail = self.mails[mail_id, destination]
            batches.append(RelayBatch(mail=mail, rows=tuple(taken)))
        return batches

    async def release_claims(self, partitions: Collection[int], *, claim: str, now_ms: int) -> int:
        await take_step(self.fault, "claim")
        rows = self._rows(
            partitions, lambda row: row.claim not in {"", claim} and row.marked_at_ms is None
        )
        released = [rules.unclaimed(row, at_ms=now_ms) for row in rows[:CLAIMS_MAX]]
        self._replace(released)
        return len(released)

    async def mark(self, rows: Sequence[RelayRow], *, at_ms: int, until_ms: int) -> None:
        await take_step(self.fault, "mark")
        current = [self._stored(row) for row in rows]
        self._replace(rules.marked(rows, current, at_ms=at_ms, until_ms=until_ms))

    async def record(self, outcomes: Sequence[RelayOutcome]) -> None:
        await take_step(self.fault, "record")
        current = [self._stored(outcome.row) for outcome in outcomes]
        self._replace(rules.recorded(outcomes, current))

    async def unreported(self, partitions: Collection[int], *, limit: int) -> list[RelayReport]:
        check_limit(limit)
        await take_step(self.fault, "read")
        groups: dict[CommandId, list[RelayRow]] = {}
        for row in self._rows(partitions, lambda row: bool(row.report_id)):
            groups.setdefault(row.report_id, []).append(row)
        return [
            rules.report_of(
                self.mails[rows[0].mail_id, rows[0].destination],
                sorted(rows, key=lambda row: row.recipient.address),
            )
            for rows in list(groups.values())[:limit]
        ]

    async def set_reported(self, report_ids: Sequence[CommandId]) -> None:
        await take_step(self.fault, "report")
        rows = [row for row in self._every() if row.report_id and row.report_id in report_ids]
        self._replace([rules.reported(row) for row in rows])

    async def settled(self, *, limit: int) -> list[RelayedMail]:
        check_limit(limit)
        await take_step(self.fault, "read")
        keys = [key for key in self._settled() if key not in self.released]
        return [RelayedMail(mail_id=key[0], destination=key[1]) for key in keys[:limit]]

    async def set_released(self, mails: Sequence[RelayedMail]) -> None:
        await take_step(self.fault, "put")
        self.released |= {(mail.mail_id, mail.destination) for mail in mails}

    async def delete_released(self, *, before_ms: int, limit: int) -> int:
        check_limit(limit)
        await take_step(self.fault, "delete")
        settled = self._settled().items()
        old = [key for key, at_ms in settled if key in self.released and at_ms < before_ms][:limit]
        for key in old:
            del self.mails[key], self.rows[key]
            self.released.discard(key)
        return len(old)

    def _settled(self) -> dict[_MailKey, int]:
        """When each settled mail ended, the earliest first."""
        ends = {
            key: max(row.next_attempt_at_ms for row in rows.values())
            for key, rows in self.rows.items()
            if not any(map(rules.is_open, rows.values()))
        }
        return dict(sorted(ends.items(), key=lambda item: item[1]))

    def _rows(
        self, partitions: Collection[int], condition: Callable[[RelayRow], bool]
    ) -> list[RelayRow]:
        return [row for row in self._every() if row.partition in partitions and condition(row)]

    def _stored(self, row: RelayRow) -> RelayRow | None:
        return self.rows.get((row.mail_id, row.destination), {}).get(row.recipient.address)

    def _replace(self, rows: Iterable[RelayRow]) -> None:
        for row in rows:
            self.rows[row.mail_id, row.destination][row.recipient.address] = row
