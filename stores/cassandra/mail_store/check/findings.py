"""What a check has found, and the repairs that a rebuild writes as it goes."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field

from mail.mailbox.consistency_check import Findings
from schemas.consistency import REPORT_MAX, ExpectedMessage, ViewDifference
from schemas.ids import UserId
from stores.cassandra.mail_store.history import ENTRIES_MAX, History
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import RowWrite

LACKING_MAX = REPORT_MAX  # messages whose header summary a rebuild asks for at once
REPAIRS_MAX = 500  # rows that are written together
WriteRows = Callable[[list[RowWrite]], Awaitable[None]]


@dataclass(slots=True)
class CheckFindings:
    """Differences, and with `write` their repairs in `parts` (COUNTS, LISTS).

    `lacking`: messages without a row whose header summary is not known.
    """

    parts: Collection[str]
    write: WriteRows | None = None
    findings: Findings = field(default_factory=Findings)
    lacking: list[ExpectedMessage] = field(default_factory=list)
    may_write: bool = False  # once the journal is known to be sound
    mended: int = 0
    _repairs: list[RowWrite] = field(default_factory=list)

    def is_repaired(self, part: str) -> bool:
        return self.write is not None and part in self.parts

    async def add(
        self, part: str, differences: Collection[ViewDifference], repairs: Iterable[RowWrite]
    ) -> None:
        """Add the differences of rows that belong to `part`, and write their repairs."""
        if not differences or part not in self.parts:
            return
        self.findings.add(differences)
        self.mended += len(set(differences))
        await self.repair(part, repairs)

    async def repair(self, part: str, rows: Iterable[RowWrite]) -> None:
        if self.is_repaired(part):
            self._repairs += rows
            if self.may_write and len(self._repairs) >= REPAIRS_MAX:
                await self.flush()

    async def flush(self) -> None:
        """Write the repairs that are left."""
        if self.write is not None and self._repairs:
            await self.write(self._repairs)
            self._repairs = []


class LaterSteps:
    """Messages and threads that steps after `seq` have changed: what they show is no difference.

    A step's journal entry is written before its views, and its state after them.
    """

    def __init__(self, reads: MailboxReads, user_id: UserId, seq: int) -> None:
        self._reads = reads
        self._history = History(reads)
        self._user_id = user_id
        self._seq = seq
        self._changed: set[str] = set()

    async def have_begun(self) -> bool:
        await self._catch_up()
        return bool(self._changed)

    async def unchanged(self, ids: Collection[str]) -> set[str]:
        """Those of the ids that no later step has changed, up to now."""
        if not ids:
            return set()
        await self._catch_up()
        return set(ids) - self._changed

    async def _catch_up(self) -> None:
        """Read the entries up to that of a step whose state is not written yet."""
        _, state = await self._reads.stored(self._user_id)
        to_seq = state.seq + 1
        while entries := await self._history.entries(self._user_id, self._seq, to_seq, ENTRIES_MAX):
            ids = {change.message_id for entry in entries for change in entry.changes}
            rows = await self._reads.rows(self._user_id, ids)
            self._changed |= ids | {row.thread_id for row in rows.values()}
            self._seq = entries[-1].seq
