"""What operators read and change in a relay queue in memory."""

from collections import Counter
from collections.abc import Iterable, Sequence

from mail.pagination import check_limit
from mail.ports.relay_queue import NO_KEY, RelayAction, RelayQueueAdmin
from mail.sending.relay_actions import changed, key_of, meets
from schemas.events.sending import MailRelay
from schemas.ids import MailId
from schemas.relay import (
    AGES_MS,
    DONE,
    HELD,
    WAITING,
    DestinationLoad,
    OldestRows,
    QueuedRecipient,
    RelayFilter,
    RelayKey,
    RelayRow,
    RelayState,
)

_MailKey = tuple[MailId, str]


class MemoryRelayAdministration(RelayQueueAdmin):
    """The base class of MemoryRelayQueue."""

    mails: dict[_MailKey, MailRelay]
    rows: dict[_MailKey, dict[str, RelayRow]]

    async def find(
        self, conditions: RelayFilter, *, after: RelayKey = NO_KEY, limit: int
    ) -> list[QueuedRecipient]:
        check_limit(limit)
        rows = sorted(self._every(), key=key_of)
        found = [
            QueuedRecipient(row=row, mail=self.mails[row.mail_id, row.destination])
            for row in rows
            if key_of(row) > after and meets(row, conditions)
        ]
        return [each for each in found if _is_meant(each, conditions)][:limit]

    async def change(
        self, keys: Sequence[RelayKey], action: RelayAction, *, at_ms: int
    ) -> list[RelayKey]:
        chosen = [row for row in self._every() if key_of(row) in set(keys)]
        after = [changed(row, action, at_ms=at_ms) for row in chosen]
        rows = [row for row in after if row is not None]
        for row in rows:
            self.rows[row.mail_id, row.destination][row.recipient.address] = row
        return [key_of(row) for row in rows]

    async def loads(self, *, now_ms: int, limit: int) -> list[DestinationLoad]:
        check_limit(limit)
        by_destination: dict[str, list[RelayRow]] = {}
        for row in self._every():
            if row.state != DONE:
                by_destination.setdefault(row.destination, []).append(row)
        found = [
            self._load(destination, rows, now_ms) for destination, rows in by_destination.items()
        ]
        return sorted(found, key=lambda load: (-load.rows, load.destination))[:limit]

    async def counts(self) -> dict[RelayState, int]:
        return dict(Counter(row.state for row in self._every() if row.state != DONE))

    async def oldest(self) -> OldestRows:
        rows = [row for row in self._every() if row.state == WAITING]
        queued = [self.mails[row.mail_id, row.destination].queued_at_ms for row in rows]
        due = [row.next_attempt_at_ms for row in rows if not row.report_id]
        return OldestRows(queued_at_ms=min(queued, default=None), due_at_ms=min(due, default=None))

    def _load(self, destination: str, rows: Sequence[RelayRow], now_ms: int) -> DestinationLoad:
        queued = [self.mails[row.mail_id, destination].queued_at_ms for row in rows]
        return DestinationLoad(
            destination=destination,
            rows=len(rows),
            held=sum(row.state == HELD for row in rows),
            oldest_queued_at_ms=min(queued),
            by_age=tuple(sum(at_ms <= now_ms - age_ms for at_ms in queued) for age_ms in AGES_MS),
        )

    def _every(self) -> Iterable[RelayRow]:
        return [row for rows in self.rows.values() for row in rows.values()]


def _is_meant(found: QueuedRecipient, conditions: RelayFilter) -> bool:
    mail = found.mail
    before_ms = conditions.queued_before_ms
    return (
        conditions.mail_id in {"", mail.mail_id}
        and conditions.destination in {"", mail.destination}
        and conditions.user_id in {"", mail.user_id}
        and (before_ms is None or mail.queued_at_ms < before_ms)
    )
