"""Two owners of one partition on a real node; the late owner is paused before a chosen request.

`python -m tests.stores.cassandra.two_owners [--seeds 500] [--from 0]`, from the root of the
checkout. Prints the seeds that failed, and what the others did; ends with 1 if a seed failed.

Both owners handle one log with the code of the stage `mailbox`, but by rules of two versions: their
chunks of bulk commands, and groups of deliveries that are written together, differ in size, so that
they decide the same command, at the same seq, differently. The second owner begins at a command
before that in which the late owner is paused, as after a takeover. The late owner then goes on with
more commands than that, which is worse than what a revoke lets it do: in this run nothing but the
fence of the store stops it. Its lease never ends.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from agents.delivery_batch import deliver_together
from agents.mailbox import mailbox
from agents.mailbox_failures import CommitFailed
from agents.ports import MailboxPorts
from mail.errors import JournalConflict, Transient
from mail.ids import message_id
from schemas.consistency import COUNTS, LISTS
from schemas.cql.mail_store import (
    CLAIM,
    JOURNAL,
    MAIL_TABLES,
    REBUILD,
    SNAPSHOT,
    SNAPSHOT_RECORD,
)
from schemas.cql.tables import Table
from schemas.events.mailbox_commands import Command, Deliver, FoldJournal, RebuildViews
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged
from schemas.events.unions import Event
from stores.cassandra.mail_store.stamps import GENERATION_BITS, GENERATION_MAX
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.migrations import migrate
from stores.cassandra.roles import take_over
from stores.cassandra.session import CassandraSession, ClusterConfig, Statement
from stores.memory import MemoryHolders, MemoryMailboxStates
from stores.write_check import WriteCheck, always_writable
from tests.stores.cassandra.conftest import ScopedSession
from tests.stores.cassandra.paused_session import PausedSession
from tests.support.agent_builders import OneTry, mailbox_ports
from tests.support.cassandra import CassandraNode
from tests.support.correspondents import received
from tests.system.two_workers.mailbox_commands import USERS, CommandGenerator, sender_of

# Messages in a chunk of a bulk command, deliveries written together: rules of two versions.
CHUNKS = (2, 5)
AGAIN = 0.5  # a delivery follows the one before it
UNFOLDED = 8  # last entries, among them all that are handled again after the takeover
RESTARTS_MAX = 20  # of the second owner, each after a claim of the late owner
LATER_MS = 2**50
AT_ONCE = 4  # seeds of a long run
HOLD_S = 0.1
# Rows of a step have the generation of its owner. Not those of a rebuild, which claims another.
NOT_OF_STEPS = {CLAIM, REBUILD, SNAPSHOT, SNAPSHOT_RECORD}
BY_PUT: dict[str, Table] = {table.put: table for table in MAIL_TABLES.values()}
Write = tuple[Table, tuple[Any, ...], int, int]  # a row: its key, the seq and the generation


class NarrowGenerator(CommandGenerator):
    """Commands of two users, with a rebuild or a fold at times."""

    def _user(self) -> str:
        return USERS[self._dice.random() < 0.3]

    def _message_id(self, user: str, mail: str) -> str:
        """As in the product: the adapter has a bucket for each first hexadecimal digit."""
        return message_id(mail, user)

    def log(self, count: int) -> list[Command]:
        commands: list[Command] = []
        for command in self.more(count):
            commands.append(command)
            while isinstance(command, Deliver) and self._dice.random() < AGAIN:
                commands.append(self._delivery(command.user_id))
                self._given.append(commands[-1])
        for at in range(len(commands)):
            if self._dice.random() < 0.08:
                commands[at] = self._maintenance(at)
        return commands

    def _maintenance(self, at: int) -> Command:
        ids = {"command_id": f"m{at}", "user_id": self._user(), "domain_id": "d1", "at_ms": 1}
        if self._dice.random() < 0.5:
            return RebuildViews(**ids, parts=(LISTS, COUNTS))
        return FoldJournal(**ids)


class OwnerSession(PausedSession):
    """Keeps which rows were written, without those that a rebuild repaired."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.written: list[Write] = []
        self.rebuilt: set[tuple[str, int]] = set()  # user and generation
        self.entries: dict[tuple[str, int, int], bytes] = {}  # of user, seq and generation

    async def write(
        self,
        statements: Sequence[Statement],
        *,
        check: WriteCheck = always_writable,
        one_partition: bool = False,
    ) -> None:
        await super().write(statements, check=check, one_partition=one_partition)
        for cql, values in statements:
            table = BY_PUT.get(cql)
            stamp = values[-1] if table else values[0]
            seq, generation = stamp >> GENERATION_BITS, stamp & GENERATION_MAX
            assert generation > 0, f"a statement without a generation: {cql}"
            if table is JOURNAL:
                self.entries[values[0], values[2], generation] = values[3]
            if table is REBUILD:
                self.rebuilt.add((values[0], generation))
            if table and table not in NOT_OF_STEPS:
                self.written.append((table, tuple(values[: len(table.key)]), seq, generation))


class Owner:
    """Handles commands of the log as one worker does, in their order."""

    def __init__(self, session: OwnerSession, log: list[Command], chunk_max: int) -> None:
        self.session = session
        self.position = 0
        self.restarts = 0
        self.together = 0  # deliveries that were applied with others
        self.outcomes: list[tuple[int, Event]] = []  # offset, and what was published
        self._log = log
        self._chunk_max = chunk_max
        self._holders = MemoryHolders()
        self._ports = self._new_ports()

    def _new_ports(self) -> MailboxPorts:
        return mailbox_ports(
            store=CassandraMailStore(self.session),
            states=MemoryMailboxStates(),
            holders=self._holders,
            chunk_max=self._chunk_max,
        )

    async def handle_to(self, end: int) -> None:
        """Handle the commands before the offset `end`. Raises JournalConflict."""
        while self.position < min(end, len(self._log)):
            command = self._log[self.position]
            try:
                if isinstance(command, FoldJournal):
                    await self._fold(command)
                elif await self._apply_together(end):
                    continue
                else:
                    await self._apply(command)
            except Transient:  # an overloaded node; a worker holds the event too
                await asyncio.sleep(HOLD_S)
            else:
                self.position += 1

    async def _apply_together(self, end: int) -> bool:
        """Apply the next deliveries of one user as a worker does, if they can be."""
        at = range(self.position, min(end, len(self._log), self.position + self._chunk_max))
        user_id = self._log[self.position].user_id
        commands = list(
            takewhile(lambda one: _is_delivery(one, user_id), (self._log[n] for n in at))
        )
        if len(commands) < 2:
            return False
        attempts = [OneTry(offset=offset) for offset in at[: len(commands)]]
        outputs = await deliver_together(commands, attempts, self._ports)
        if outputs is None:
            return False
        for attempt, of_one in zip(attempts, outputs, strict=True):
            self._publish(attempt, of_one)
            self.position += 1
            self.together += 1
        return True

    async def _apply(self, command: Any) -> None:
        attempt = OneTry(offset=self.position)
        self._publish(attempt, await mailbox(command, attempt, self._ports))

    def _publish(self, attempt: OneTry, outputs: Sequence[Event]) -> None:
        attempt.published()
        for output in outputs:
            if isinstance(output, MailboxChanged | CommandAnswered):
                self.outcomes.append((self.position, output))
            else:  # the next chunk of a bulk command, the next step of a rebuild
                self._log.append(output)

    async def _fold(self, command: Any) -> None:
        store = self._ports.store
        to_seq = (await store.load(command.user_id)).seq - UNFOLDED
        await store.fold(command.user_id, before_ms=LATER_MS, to_seq=to_seq)

    async def handle_with_restarts(self, end: Callable[[], int]) -> None:
        """As a worker under its supervisor, which starts it again after JournalConflict.

        CommitFailed: the late owner has claimed the mailbox and written nothing; a worker tries
        such an event again.
        """
        while self.position < end():
            try:
                await self.handle_to(end())
            except (JournalConflict, CommitFailed):
                self.restarts += 1
                assert self.restarts <= RESTARTS_MAX, "the owner never gets on"
                self._ports = self._new_ports()


async def run(seed: int, connected: CassandraSession, scope: str) -> str:
    """Run one seed; return what became of the late owner. Raises AssertionError."""
    dice = random.Random(seed)
    log = NarrowGenerator(dice).log(dice.randrange(20, 36))
    chunks = dice.sample(CHUNKS, 2)
    late, owner = (Owner(OwnerSession.of(connected, scope), log, chunk_max) for chunk_max in chunks)
    await late.handle_to(dice.randrange(4, 16))
    late.session.arm(dice.randrange(1, 30))
    late_end = late.position + dice.randrange(1, 9)
    going_on = asyncio.create_task(late.handle_to(late_end))
    await late.session.until_paused(going_on)
    was_paused = late.session.is_paused.is_set()
    owner.position = max(0, late.position - dice.randrange(4))
    early = owner.position + dice.randrange(8)
    try:
        await owner.handle_with_restarts(lambda: min(early, len(log)))
    finally:
        late.session.go_on.set()
    (outcome, failure) = await asyncio.gather(
        going_on, owner.handle_with_restarts(lambda: len(log)), return_exceptions=True
    )
    assert failure is None, repr(failure)
    assert outcome is None or isinstance(outcome, JournalConflict | CommitFailed), repr(outcome)
    await owner.handle_with_restarts(lambda: len(log))
    await check(late, owner, log, ScopedSession.of(connected, scope))
    end = "not paused" if not was_paused else "went on" if outcome is None else "stopped"
    together = " (deliveries together)" if late.together and owner.together else ""
    return f"{end}, the owner {'restarted' if owner.restarts else 'undisturbed'}{together}"


async def check(late: Owner, owner: Owner, log: list[Command], session: ScopedSession) -> None:
    await check_mailboxes([*late.outcomes, *owner.outcomes], log, session)
    await _check_cells(late, owner, session)


async def check_mailboxes(
    outcomes: Sequence[tuple[int, Event]], log: list[Command], session: ScopedSession
) -> None:
    """Check that each mailbox is what its journal says, and what was published is in the journal.

    `outcomes`: offsets in the log, and what was published.
    """
    store = CassandraMailStore(session)
    for user_id in sorted({command.user_id for command in log}):
        seq = (await store.load(user_id)).seq
        folded = (await store.snapshot(user_id)).seq
        journal = await store.journal(user_id, since_seq=folded, limit=10_000)
        assert [entry.seq for entry in journal] == list(range(folded + 1, seq + 1))
        ids = [entry.command_id for entry in journal]
        assert len(set(ids)) == len(ids), "a command was applied twice"
        _check_outcomes(user_id, folded, journal, log, outcomes)
        delivered = {one.message_id for one in log if _is_delivery(one, user_id)}
        assert delivered <= set(await store.rows(user_id, sorted(delivered))), "a mail is lost"
        assert (await store.check(user_id)).differences == ()
        if not folded:
            found = await store.correspondents(user_id, "from-", limit=9)
            assert {one.address: one.received for one in found} == received(journal, sender_of)


def _is_delivery(command: Command, user_id: str) -> bool:
    return isinstance(command, Deliver) and command.user_id == user_id


def _check_outcomes(
    user_id: str,
    folded: int,
    journal: Sequence[MailboxChanged],
    log: Sequence[Command],
    outcomes: Sequence[tuple[int, Event]],
) -> None:
    """What either owner published is what the journal has."""
    by_seq = {entry.seq: entry for entry in journal}
    applied = {entry.position.offset for entry in journal}
    for offset, outcome in outcomes:
        if log[offset].user_id != user_id:
            continue
        if isinstance(outcome, CommandAnswered):
            assert offset not in applied, f"answered and applied: {offset} {outcome}"
        elif isinstance(outcome, MailboxChanged) and outcome.seq > folded:
            assert outcome == by_seq.get(outcome.seq), f"published, not journalled: {outcome}"


async def _check_cells(late: Owner, owner: Owner, session: ScopedSession) -> None:
    """Of each step all cells are those of the owner with the highest generation."""
    rebuilt = late.session.rebuilt | owner.session.rebuilt
    highest: dict[tuple[str, int, bool], int] = defaultdict(int)
    rows: list[tuple[Write, tuple[str, int, bool]]] = []
    for write in late.session.written + owner.session.written:
        table, key, seq, generation = write
        user_id = key[table.key.index("user_id")]
        if (user_id, generation) not in rebuilt:
            # Entries of a group have the timestamp of its first step.
            step = (user_id, key[2] if table is JOURNAL else seq, table is JOURNAL)
            highest[step] = max(highest[step], generation)
            rows.append((write, step))
    entries = late.session.entries | owner.session.entries
    for user_id, seq, is_journal in list(highest):
        if not is_journal:
            # An owner that finishes a step may stop once its predecessor has finished it too.
            made, journalled = (
                entries.get((user_id, seq, highest[user_id, seq, of])) for of in (False, True)
            )
            assert made == journalled, "late views"
    lost = [write for write, step in rows if write[3] < highest[step] and write[0].values]
    await asyncio.gather(*(_check_lost(write, session) for write in lost))


async def _check_lost(write: Write, session: ScopedSession) -> None:
    """The row, if it exists, has no cell with the write's timestamp."""
    table, key, seq, generation = write
    columns = ", ".join(f"WRITETIME({column})" for column in table.values)
    has_key = "".join(f" AND {column} = ?" for column in table.clustering)
    found = await session.read(table.select(columns, has_key), *key)
    stamp = seq << GENERATION_BITS | generation
    assert all(stamp not in stamps for stamps in found), f"a cell survives: {table.name} {key}"


async def run_all(connected: CassandraSession, seeds: range, scope: str) -> int:
    """Run the seeds; return how many failed."""
    began_s, ends, failed = time.monotonic(), Counter[str](), []
    waiting = iter(seeds)

    async def run_some() -> None:
        for seed in waiting:
            try:
                ends[await run(seed, connected, f"{scope}{seed}-")] += 1
            except Exception:  # noqa: BLE001  (the next seeds run all the same)
                failed.append(seed)
                print(f"seed {seed}:\n{traceback.format_exc()}", flush=True)

    await asyncio.gather(*(run_some() for _ in range(AT_ONCE)))
    took_s = time.monotonic() - began_s
    print(f"{len(seeds)} seeds in {took_s:.0f} s, {len(failed)} failed: {failed}")
    for end, count in ends.most_common():
        print(f"{count:5} {end}")
    return len(failed)


async def main(seeds: range, port: int) -> int:
    config = ClusterConfig(port=port, user="setup", password="owner's", keyspace="test")
    await take_over(config)
    session = await CassandraSession.open(config)
    try:
        await migrate(session, CassandraMailStore.schemas)
        return await run_all(session, seeds, "two-owners-")
    finally:
        await session.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--from", type=int, default=0, dest="first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, CassandraNode(Path(folder)) as node:
        chosen = range(options.first, options.first + options.seeds)
        sys.exit(min(asyncio.run(main(chosen, node.port)), 1))
