"""Ports of the admin API over memory adapters, with dead letters and a stack that a test sets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mail.directory.recipient_resolver import DirectoryResolver
from mail.errors import NotFound, Refused
from mail.ports import MailStore
from mail.ports.submissions import Submissions
from mail.sending.dkim.keyring import DkimKeyrings
from mail.sending.service_key import ServiceKey
from operations.admin_ports import AdminPorts, DeadLetterDesk
from operations.dead_letters import CauseCount
from operations.ports import ReleasePorts, TracePorts
from operations.stack_status import LagSamples, StackReport, StackStatus, StatusUnavailable
from operations.trace import Tracer
from schemas.holders import QUARANTINE_HOLDER, Holder
from stores.memory import (
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryLedger,
    MemoryPublisher,
    MemoryQuarantine,
    MemoryRelayQueue,
)
from streams.dead_letters.admin import DeadLetterResult
from streams.dead_letters.records import DeadLetterFilter, ParkedRecord, kind_of
from tests.support.custody_world import quarantined

HOSTNAME = "mx.postriver.test"


class Letters(DeadLetterDesk):
    """Dead letters of a test; `done` has what was done with them."""

    def __init__(self) -> None:
        self.records: dict[str, ParkedRecord] = {}
        self.done: list[tuple[str, str]] = []

    async def count_by_cause(self, conditions: DeadLetterFilter) -> list[CauseCount]:
        return [
            CauseCount(
                stage=row.letter.stage, cause=kind_of(row.letter.cause), count=1, example=row.id
            )
            for row in await self.newest(500, conditions)
            if row.letter
        ]

    async def newest(self, limit: int, conditions: DeadLetterFilter) -> list[ParkedRecord]:
        return [row for row in self.records.values() if conditions.matches(row.letter)][:limit]

    async def get(self, letter_id: str) -> ParkedRecord:
        if letter_id not in self.records:
            raise NotFound("no such dead letter")
        return self.records[letter_id]

    async def redrive(
        self,
        ids: Sequence[str] | None,
        *,
        conditions: DeadLetterFilter,
        dry_run: bool,
        force: bool,
    ) -> list[DeadLetterResult]:
        if ids is None:
            ids = [row.id for row in await self.newest(500, conditions)]
        return self._act(ids, "would_redrive" if dry_run else "redriven")

    async def discard(
        self, ids: Sequence[str], reason: str, *, dry_run: bool
    ) -> list[DeadLetterResult]:
        return self._act(ids, "would_discard" if dry_run else "discarded")

    async def park(self, name: str, *, dry_run: bool) -> bool:
        if "@" not in name:
            raise Refused("no position")
        self.done += [] if dry_run else [(name, "parked")]
        return not dry_run

    def _act(self, ids: Sequence[str], outcome: str) -> list[DeadLetterResult]:
        results = [
            DeadLetterResult(id=id_, outcome=outcome if id_ in self.records else "not_found")
            for id_ in ids
        ]
        self.done += [(each.id, each.outcome) for each in results]
        return results


class Stack(StackStatus):
    """A supervisor that reports what a test set; `away`: it does not answer."""

    def __init__(self) -> None:
        self.now = StackReport(state="ready")
        self.samples: list[LagSamples] = []
        self.away = False

    async def report(self) -> StackReport:
        if self.away:
            raise StatusUnavailable("away")
        return self.now

    async def lags(self) -> list[LagSamples]:
        await self.report()
        return self.samples


class Zone:
    """DNS records of a test."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}

    async def texts(self, name: str, kind: str) -> list[str]:
        return self.records.get((name, kind), [])


@dataclass
class AdminWorld:
    """What operators work on."""

    quarantine: MemoryQuarantine = field(default_factory=MemoryQuarantine)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    queue: MemoryRelayQueue = field(default_factory=MemoryRelayQueue)
    river: MemoryPublisher = field(default_factory=MemoryPublisher)
    letters: Letters = field(default_factory=Letters)
    stack: Stack = field(default_factory=Stack)
    zone: Zone = field(default_factory=Zone)
    contents: MemoryContentStore = field(default_factory=MemoryContentStore)
    holders: MemoryHolders = field(default_factory=MemoryHolders)

    def ports(
        self, directory: MemoryDirectory, submissions: Submissions, store: MailStore
    ) -> AdminPorts:
        async def nothing(*_: object) -> list:
            return []

        return AdminPorts(
            stack=self.stack,
            directory=directory,
            release=ReleasePorts(
                quarantine=self.quarantine,
                contents=self.contents,
                holders=self.holders,
                ledger=self.ledger,
            ),
            publisher=self.river,
            queue=self.queue,
            submissions=submissions,
            letters=self.letters,
            tracer=Tracer(
                ports=TracePorts(
                    ledger=self.ledger,
                    submissions=submissions,
                    store=store,
                    quarantine=self.quarantine,
                    users=directory,
                    resolver=DirectoryResolver(directory, HOSTNAME),
                ),
                find_records=nothing,
                held=nothing,
            ),
            keyrings=DkimKeyrings(directory, ServiceKey(b"k" * 32)),
            records=self.zone,
            hostname=HOSTNAME,
        )

    async def keep(self, mail_id: str, *people: str, reason: str = "spam") -> None:
        """Put a mail into quarantine, with its content and its holder."""
        content = await self.contents.put(mail_id, b"bytes")
        holder = Holder(mail_id=mail_id, holder=QUARANTINE_HOLDER, ref=content.ref)
        await self.holders.hold([holder])
        row = quarantined(mail_id, *people, content=content, reason=reason)
        await self.quarantine.put(row)
