"""RelayQueue on Cassandra."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

import msgspec

from mail.pagination import check_limit
from mail.ports.mail_transport import RECIPIENTS_MAX
from mail.ports.relay_queue import RelayQueue
from mail.sending import relay_rows as rules
from schemas.cql.relay import RELAY_REPORT, StoredRelay
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
from stores.cassandra.clock import now_us
from stores.cassandra.due_entries import FOREVER_MS
from stores.cassandra.relay_queue.administration import RelayAdministration
from stores.cassandra.relay_queue.mails import (
    claimed_rows,
    current_rows,
    next_ms,
    settled_at_ms,
    with_rows,
)
from stores.cassandra.relay_queue.turns import ONE_SHARD

CLAIMS_MAX = 500  # rows released by one call
_REPORT = RELAY_REPORT.select("mail_id, destination")
_replace = msgspec.structs.replace


class CassandraRelayQueue(RelayAdministration, RelayQueue):
    """The relay queue over a session."""

    async def put(self, mail: MailRelay, *, partition: int, at_ms: int) -> None:
        def added(stored: StoredRelay | None) -> StoredRelay:
            known = {row.recipient.address for row in stored.rows} if stored else set()
            new = tuple(
                RelayRow(
                    mail_id=mail.mail_id,
                    destination=mail.destination,
                    recipient=each,
                    partition=partition,
                    state=WAITING,
                    next_attempt_at_ms=at_ms,
                )
                for each in mail.recipients
                if each.address not in known
            )
            if stored is None:
                return StoredRelay(mail=mail, rows=new)
            return _replace(stored, rows=(*stored.rows, *new)) if new else stored

        await self.change_mail(mail.mail_id, mail.destination, added)

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
        turns = await self.turns.due(partitions, now_ms=now_ms, busy=busy, limit=limit)
        found = await asyncio.gather(
            *(
                self._claim(turn.key, turn.shard, claim=claim, now_ms=now_ms, until_ms=until_ms)
                for turn in turns
            )
        )
        return [batch for batches in found for batch in batches]

    async def _claim(
        self, destination: str, partition: int, *, claim: str, now_ms: int, until_ms: int
    ) -> list[RelayBatch]:
        """Claim rows of the first due mail of a destination, if there is one."""
        queue = self.turns.queue(destination, partition)
        judge = self.judge(lambda stored: next_ms(stored) is not None)
        due = await queue.rows(judge, until_ms=now_ms, limit=1, shards=ONE_SHARD)
        batches: list[RelayBatch] = []
        for first in due:
            taken: list[RelayRow] = []

            def claimed(
                stored: StoredRelay | None, taken: list[RelayRow] = taken
            ) -> StoredRelay | None:
                if stored is None:
                    return None
                rows = [row for row in stored.rows if rules.is_due(row, now_ms)]
                rows = sorted(rows, key=lambda row: row.recipient.address)[:RECIPIENTS_MAX]
                taken[:] = [rules.claimed(row, claim, until_ms=until_ms) for row in rows]
                return with_rows(stored, taken)

            await self.change_mail(first.mail.mail_id, destination, claimed)
            batches += [RelayBatch(mail=first.mail, rows=tuple(taken))] if taken else []
        is_claimed = bool(batches)
        await self.turns.taken(destination, partition, now_ms=now_ms, is_claimed=is_claimed)
        return batches

    async def release_claims(self, partitions: Collection[int], *, claim: str, now_ms: int) -> int:
        def others(stored: StoredRelay) -> list[RelayRow]:
            return [row for row in claimed_rows(stored) if row.claim != claim]

        judge = self.judge(lambda stored: bool(claimed_rows(stored)))
        found = await self.claims.rows(
            judge, until_ms=FOREVER_MS, limit=CLAIMS_MAX, shards=partitions
        )
        number = 0
        for mail in found:
            released: list[RelayRow] = []

            def unclaimed(
                stored: StoredRelay | None, released: list[RelayRow] = released
            ) -> StoredRelay | None:
                if stored is None:
                    return None
                released[:] = [rules.unclaimed(row, at_ms=now_ms) for row in others(stored)]
                return with_rows(stored, released)

            await self.change_mail(mail.mail.mail_id, mail.mail.destination, unclaimed)
            number += len(released)
            if number >= CLAIMS_MAX:
                break
        return number

    async def mark(self, rows: Sequence[RelayRow], *, at_ms: int, until_ms: int) -> None:
        """Mark the rows of one mail together, and one mail after another."""
        groups = _by_mail(rows)
        for (mail_id, destination), some in groups:
            stored = await self.mails.get(mail_id, destination)
            rules.marked(some, current_rows(stored, some), at_ms=at_ms, until_ms=until_ms)
        for (mail_id, destination), some in groups:

            def marked(
                stored: StoredRelay | None, some: Sequence[RelayRow] = some
            ) -> StoredRelay | None:
                current = current_rows(stored, some)
                after = rules.marked(some, current, at_ms=at_ms, until_ms=until_ms)
                return stored and with_rows(stored, after)

            await self.change_mail(mail_id, destination, marked)

    async def record(self, outcomes: Sequence[RelayOutcome]) -> None:
        by_address = {(one.row.mail_id, one.row.recipient.address): one for one in outcomes}
        for (mail_id, destination), rows in _by_mail([one.row for one in outcomes]):
            some = [by_address[row.mail_id, row.recipient.address] for row in rows]

            def recorded(
                stored: StoredRelay | None, some: Sequence[RelayOutcome] = some
            ) -> StoredRelay | None:
                current = current_rows(stored, [one.row for one in some])
                return stored and with_rows(stored, rules.recorded(some, current))

            await self.change_mail(mail_id, destination, recorded)

    async def unreported(self, partitions: Collection[int], *, limit: int) -> list[RelayReport]:
        check_limit(limit)
        judge = self.judge(lambda stored: any(row.report_id for row in stored.rows))
        found = await self.reports.rows(judge, until_ms=FOREVER_MS, limit=limit, shards=partitions)
        return [report for stored in found for report in _reports(stored)][:limit]

    async def set_reported(self, report_ids: Sequence[CommandId]) -> None:
        await asyncio.gather(*map(self._set_reported, report_ids))

    async def _set_reported(self, report_id: CommandId) -> None:
        def reported(stored: StoredRelay | None) -> StoredRelay | None:
            if stored is None:
                return None
            rows = [row for row in stored.rows if row.report_id == report_id]
            return with_rows(stored, [rules.reported(row) for row in rows])

        for mail_id, destination in await self._session.read(_REPORT, report_id):
            await self.change_mail(mail_id, destination, reported)
        await self._session.write([(RELAY_REPORT.delete(), (now_us(), report_id))])

    async def settled(self, *, limit: int) -> list[RelayedMail]:
        check_limit(limit)
        judge = self.judge(lambda stored: not stored.is_released)
        found = await self.settled_mails.rows(judge, until_ms=FOREVER_MS, limit=limit)
        return [_relayed(stored) for stored in found]

    async def set_released(self, mails: Sequence[RelayedMail]) -> None:
        def released(stored: StoredRelay | None) -> StoredRelay | None:
            if stored is None or settled_at_ms(stored) is None:
                return stored
            return _replace(stored, is_released=True)

        await asyncio.gather(
            *(self.change_mail(mail.mail_id, mail.destination, released) for mail in mails)
        )

    async def delete_released(self, *, before_ms: int, limit: int) -> int:
        check_limit(limit)
        judge = self.judge(lambda stored: stored.is_released)
        found = await self.released_mails.rows(judge, until_ms=before_ms - 1, limit=limit)
        await asyncio.gather(*map(self._delete, found))
        return len(found)

    async def _delete(self, stored: StoredRelay) -> None:
        """Its entry in the list of released mails is stale then."""
        await self.forget(stored)
        mail = stored.mail
        await self.mails.change(mail.mail_id, mail.destination, to=lambda _: None)


def _by_mail(
    rows: Iterable[RelayRow],
) -> list[tuple[tuple[MailId, str], list[RelayRow]]]:
    def key(row: RelayRow) -> tuple[MailId, str]:
        return row.mail_id, row.destination

    return [(name, list(group)) for name, group in groupby(sorted(rows, key=key), key=key)]


def _reports(stored: StoredRelay) -> list[RelayReport]:
    """The reports of a mail, one for each attempt."""
    rows = sorted(
        (row for row in stored.rows if row.report_id),
        key=lambda row: (row.report_id, row.recipient.address),
    )
    groups = groupby(rows, key=lambda row: row.report_id)
    return [rules.report_of(stored.mail, list(group)) for _, group in groups]


def _relayed(stored: StoredRelay) -> RelayedMail:
    return RelayedMail(mail_id=stored.mail.mail_id, destination=stored.mail.destination)
