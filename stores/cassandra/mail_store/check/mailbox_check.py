"""One check of one mailbox at one seq: all its views compared with its journal.

Compared are the state, settings, correspondents, message rows, thread bindings, commands, and all
lists with their heads. Memory does not grow with the mailbox: see stores/sorted_rows.py.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import reduce
from heapq import nlargest
from itertools import groupby

from mail.mailbox import consistency_check as rules
from mail.mailbox import correspondents as correspondent_rules
from mail.mailbox.counts import Recount
from schemas.consistency import COUNTS, LISTS, ViewDifference
from schemas.correspondents import Correspondent
from schemas.cql.mail_store import COMMAND, CORRESPONDENT, MAILBOX, SETTINGS
from schemas.events.mailbox_events import MailboxChanged, MessageChange
from schemas.ids import DomainId, MessageId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import MailboxState
from schemas.user_settings import StoredSettings
from stores.cassandra.mail_store.check.findings import CheckFindings, LaterSteps
from stores.cassandra.mail_store.check.journal import ChangeKey, ReplayedJournal
from stores.cassandra.mail_store.check.lists import ListCheck
from stores.cassandra.mail_store.check.messages import ExpectedRows, MessageCheck
from stores.cassandra.mail_store.check.threads import Doubt, DoubtKey, ThreadCheck
from stores.cassandra.mail_store.commit_plan import usage_row
from stores.cassandra.mail_store.history import History
from stores.cassandra.mail_store.lists import ListHead, encode
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.stamps import put
from stores.sorted_rows import RUN_MAX, SortedRows

TRIES = 20  # to read state and heads with no step between them
TRY_AGAIN_S = 0.1


class MailboxCheck:
    """Compares one mailbox.

    `heads`: header summaries of messages whose row is lost. `run_max`: rows of each order that are
    in memory.
    """

    def __init__(
        self,
        reads: MailboxReads,
        user_id: UserId,
        found: CheckFindings,
        heads: Mapping[MessageId, HeaderSummary] | None = None,
        *,
        run_max: int = RUN_MAX,
    ) -> None:
        self._reads = reads
        self._user_id = user_id
        self._found = found
        self._heads = heads or {}
        self._run_max = run_max
        self._lists: dict[str, ListHead] = {}
        self._settings = StoredSettings()
        self._later = LaterSteps(reads, user_id, 0)

    async def at_stored_state(self) -> None:
        """Compare the mailbox as of its stored state. Raises JournalDamaged."""
        for _ in range(TRIES):
            domain_id, state = await self._reads.stored(self._user_id)
            await self._begin(state)
            if not await self._later.have_begun():
                break
            await asyncio.sleep(TRY_AGAIN_S)
        await self._compare(domain_id, state, generation=1)

    async def run(self, domain_id: DomainId, state: MailboxState, generation: int) -> None:
        """Compare the mailbox as of `state`, for its only writer. Raises JournalDamaged."""
        await self._begin(state)
        await self._compare(domain_id, state, generation)

    async def _begin(self, state: MailboxState) -> None:
        """Read what has one row, or few, at the state."""
        self._later = LaterSteps(self._reads, self._user_id, state.seq)
        self._lists = await self._reads.heads(self._user_id)
        self._settings = await self._reads.settings(self._user_id)

    async def _compare(self, domain_id: DomainId, state: MailboxState, generation: int) -> None:
        with ExitStack() as stack:
            changes: SortedRows[ChangeKey, MessageChange] = stack.enter_context(
                SortedRows(tuple[ChangeKey, MessageChange], run_max=self._run_max)
            )
            journal = ReplayedJournal(self._reads, self._user_id, changes)
            async for entries in journal.entries(state.seq):
                await self._commands(entries)
            if self._found.write is not None:
                async for _ in journal.records():  # nothing is written if it is damaged
                    pass
                self._found.may_write = True
            messages = MessageCheck(
                reads=self._reads, user_id=self._user_id, domain_id=domain_id, heads=self._heads,
                found=self._found, later=self._later, expected=ExpectedRows(stack, self._run_max),
                recount=Recount(),
            )  # fmt: skip
            if await messages.run(journal.records()):
                await self._state(domain_id, generation, state, messages.recount, journal)
                await self._owner(messages.expected, journal.settings)
                await self._threads_and_lists(messages.expected, stack)
        await self._found.flush()

    async def _commands(self, entries: Iterable[MailboxChanged]) -> None:
        by_id = {entry.command_id: entry for entry in entries}
        stored = await History(self._reads).command_seqs(self._user_id, by_id)
        for command_id, entry in by_id.items():
            if stored.get(command_id) != entry.seq:
                what = f"command {command_id} has a wrong seq or no row"
                follow_up = None if entry.follow_up is None else encode(entry.follow_up)
                row = put(COMMAND, self._user_id, command_id, entry.seq, follow_up)
                await self._found.add(LISTS, [ViewDifference(LISTS, what)], [row])

    async def _state(
        self,
        domain_id: DomainId,
        generation: int,
        state: MailboxState,
        recount: Recount,
        journal: ReplayedJournal,
    ) -> None:
        expected = recount.state(journal.state)
        last = put(MAILBOX, self._user_id, domain_id, generation, encode(expected))
        usage = usage_row(self._user_id, domain_id, expected.usage)
        await self._found.add(COUNTS, rules.state_differences(state, expected), [last, usage])

    async def _owner(self, rows: ExpectedRows, settings: StoredSettings) -> None:
        """Compare settings and correspondents."""
        row = put(SETTINGS, self._user_id, encode(settings))
        differences = rules.settings_differences(self._settings, settings)
        await self._found.add(LISTS, differences, [row])
        stored = await self._reads.all_correspondents(self._user_id)
        wrong = correspondent_rules.lacking(stored, _most_recent(rows))
        repairs = [
            put(CORRESPONDENT, self._user_id, address, encode(one))
            for address, one in wrong.items()
        ]
        await self._found.add(LISTS, rules.correspondent_differences(len(wrong)), repairs)

    async def _threads_and_lists(self, expected: ExpectedRows, stack: ExitStack) -> None:
        doubts: SortedRows[DoubtKey, Doubt] = stack.enter_context(
            SortedRows(tuple[DoubtKey, Doubt], run_max=self._run_max)
        )
        threads = ThreadCheck(self._reads, self._user_id, self._found, self._later, doubts)
        await threads.bindings(expected.bindings)
        await threads.threads(expected.members, expected.lists)
        lists = ListCheck(self._reads, self._user_id, self._lists, self._found, self._later)
        await lists.run(expected.lists)


def _most_recent(rows: ExpectedRows) -> dict[str, Correspondent]:
    """The correspondents that the messages prove, without the least recent beyond the limit."""
    by_address = groupby(rows.correspondents, key=lambda row: row[0][0])
    every = ((address, _sum(one for _, one in group)) for address, group in by_address)
    most = correspondent_rules.CORRESPONDENTS_MAX
    return dict(nlargest(most, every, key=lambda row: (row[1].last_ms, row[0])))


def _sum(counted: Iterable[Correspondent]) -> Correspondent:
    each = iter(counted)
    return reduce(correspondent_rules.merged, each, next(each))
