"""Two owners of one mailbox: the first is paused at a chosen request, the second takes over.

POSTRIVER_SEED repeats a run; POSTRIVER_SEEDS is the number of seeds.
"""

import asyncio
import copy
import os
import random
from collections.abc import Iterable, Sequence
from itertools import product

import pytest

from mail.errors import AssignmentInDoubt, JournalConflict, StoreUnavailable
from mail.ports import Commit
from schemas.cql.mail_store import JOURNAL
from schemas.mailbox import SEEN, MailboxState
from stores.cassandra.mail_store.ownership import Ownership
from stores.cassandra.mail_store.statements import MailboxStatements
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.session import CassandraSession, Statement
from stores.write_check import WriteCheck, always_writable
from streams.worker.assignment_lease import AssignmentLease
from tests.contracts.mail_store_reads import holds_what
from tests.contracts.mailboxes import Writer
from tests.stores.cassandra.conftest import ScopedSession
from tests.stores.cassandra.paused_session import PausedSession

pytestmark = pytest.mark.distributed
SEEDS = int(os.environ.get("POSTRIVER_SEEDS", "15"))
FIRST = int(os.environ.get("POSTRIVER_SEED", "0"))


def delivered(writer: Writer, chance: random.Random, names: Iterable[str]) -> list[Commit]:
    return [
        writer.deliver(name, thread=chance.choice("tu"), at_ms=chance.randrange(4))
        for name in names
    ]


def a_step(writer: Writer, chance: random.Random, name: str) -> list[Commit]:
    """A change of what has been delivered before, or new messages."""
    alive = [n for n in "abc" if (row := writer.messages.get(writer.id(n))) and not row.destroyed]
    kind = chance.choice(["deliver", "deliver", "mark", "move", "destroy"])
    if kind == "deliver" or not alive:
        number = chance.randrange(1, 5)
        return delivered(writer, chance, (f"{name} {at}" for at in range(number)))
    target = chance.choice(alive)
    if kind == "mark":
        words = [word for word in (SEEN, "$flagged", "work") if chance.random() < 0.5]
        return [writer.mark(target, *words)]
    if kind == "move":
        return [writer.move(target, *chance.sample(["inbox", "archive", "trash"], 2))]
    return [writer.destroy(target)]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_no_cell_of_the_late_owner_survives(
    connected: CassandraSession, session: ScopedSession, seed: int
) -> None:
    chance = random.Random(seed)
    late_session = PausedSession.of(connected, session.scope)
    late, owner = CassandraMailStore(late_session), CassandraMailStore(session)
    ann = Writer()
    await late.commit_all(delivered(ann, chance, "abc"[: chance.randrange(1, 4)]))
    before = copy.deepcopy(ann)
    step = a_step(ann, chance, "late")
    late_session.arm(chance.randrange(1, 16))
    paused = asyncio.create_task(late.commit_all(step))
    await late_session.until_paused(paused)
    seq = (await owner.load("ann")).seq
    has_finished = seq == ann.state.seq
    assert has_finished or seq == before.state.seq, "a part of a step was written"
    winner = ann if has_finished else before
    for number in range(chance.randrange(1, 4)):
        await owner.commit_all(a_step(winner, chance, f"owner {number}"))
    late_session.go_on.set()
    (outcome,) = await asyncio.gather(paused, return_exceptions=True)
    assert outcome is None or isinstance(outcome, JournalConflict), outcome
    assert has_finished or isinstance(outcome, JournalConflict), "a lost step was acknowledged"
    await owner.commit_all(a_step(winner, chance, "last"))
    reader = CassandraMailStore(session)
    await holds_what(reader, winner)
    assert (await reader.check("ann")).differences == ()


async def test_a_step_that_was_cut_short_is_finished_by_the_next_owner(
    connected: CassandraSession, session: ScopedSession
) -> None:
    """At each request of a step; a reader does not finish it."""
    for at, kind in product(range(1, 16), ("move", "deliveries")):
        cut = PausedSession.of(connected, f"{session.scope}{at}-{kind}-")
        first, reader = CassandraMailStore(cut), CassandraMailStore(cut)
        ann = Writer()
        await first.commit(ann.deliver("a", thread="t"))
        before = copy.deepcopy(ann)
        commits = (
            [ann.move("a", "archive", "trash")]
            if kind == "move"
            else [ann.deliver(name, thread=thread) for name, thread in ("bt", "cu", "du")]
        )
        cut.arm(at)
        step = asyncio.create_task(first.commit_all(commits))
        await cut.until_paused(step)
        cut.at = -1
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        seen = await reader.state("ann")
        assert seen in (before.state, ann.state)
        assert len(await reader.journal("ann", since_seq=0, limit=9)) == seen.seq
        loaded = await CassandraMailStore(cut).load("ann")
        assert loaded in (before.state, ann.state)
        await holds_what(reader, ann if loaded == ann.state else before)
        assert (await reader.check("ann")).differences == ()
        await CassandraMailStore(cut).commit_all(commits)
        await holds_what(reader, ann)


async def test_a_writer_without_a_lease_sends_no_statement_and_goes_on_with_a_new_lease(
    connected: CassandraSession, session: ScopedSession
) -> None:
    """At each request of a step: as a process that was stopped there past its session timeout."""
    for at in range(1, 16):
        now_ms = 1_000
        lease = AssignmentLease(6.0, lambda: now_ms)  # noqa: B023  (called in this turn)
        paused = PausedSession.of(connected, f"{session.scope}{at}-")
        store, ann = CassandraMailStore(paused, check=lease.check), Writer()
        lease.renew(now_ms)
        await store.commit(ann.deliver("a", thread="t"))
        command = ann.move("a", "archive", "trash")
        paused.arm(at)
        step = asyncio.create_task(store.commit(command))
        await paused.until_paused(step)
        was_paused, writes = paused.is_paused.is_set(), paused.writes
        now_ms += 6_000
        paused.go_on.set()
        (outcome,) = await asyncio.gather(step, return_exceptions=True)
        assert isinstance(outcome, AssignmentInDoubt) if was_paused else outcome is None, outcome
        assert paused.writes == writes
        lease.renew(now_ms)
        await store.commit(command)
        await holds_what(CassandraMailStore(paused), ann)
        assert (await store.check("ann")).differences == ()


class LateSession(ScopedSession):
    """Keeps a journal entry, as a coordinator that cannot deliver it, and reports a failure."""

    kept: Sequence[Statement] = ()

    async def write(
        self,
        statements: Sequence[Statement],
        *,
        check: WriteCheck = always_writable,
        one_partition: bool = False,
    ) -> None:
        if not self.kept and any(cql == JOURNAL.put for cql, _ in statements):
            self.kept = statements
            raise StoreUnavailable("cassandra", "no replica answers")
        await super().write(statements, check=check, one_partition=one_partition)


@pytest.mark.parametrize("is_first_written", [False, True])
@pytest.mark.parametrize("number", [1, 4])
async def test_entries_that_arrive_after_the_next_claim_are_not_applied(
    connected: CassandraSession, session: ScopedSession, *, number: int, is_first_written: bool
) -> None:
    late = LateSession.of(connected, session.scope)
    store, writer, ann = CassandraMailStore(session), CassandraMailStore(late), Writer()
    await store.commit(ann.deliver("a"))
    before = copy.deepcopy(ann)
    with pytest.raises(StoreUnavailable):
        await writer.commit_all([ann.deliver(f"late {at}") for at in range(number)])
    assert await writer.load("ann") == before.state
    if is_first_written:
        await writer.commit(before.deliver("first"))
    await late.write(late.kept)
    reader = CassandraMailStore(session)
    assert await reader.load("ann") == before.state
    await reader.commit_all([before.deliver("b"), before.deliver("c")])
    await reader.commit(before.mark("b", SEEN))
    await holds_what(reader, before)
    assert (await reader.check("ann")).differences == ()


async def test_a_late_owner_does_not_delete_a_step_that_another_has_finished(
    connected: CassandraSession, session: ScopedSession
) -> None:
    """The entry arrives while the second owner is paused at any request of its claim."""
    for at in range(1, 16):
        scope = f"{session.scope}{at}-"
        late, paused = LateSession.of(connected, scope), PausedSession.of(connected, scope)
        ann, second = Writer(), CassandraMailStore(paused)
        await CassandraMailStore(paused).commit(ann.deliver("a"))
        before = copy.deepcopy(ann)
        with pytest.raises(StoreUnavailable):
            await CassandraMailStore(late).commit_all([ann.deliver("late"), ann.deliver("more")])
        paused.arm(at)
        claim = asyncio.create_task(second.load("ann"))
        await paused.until_paused(claim)
        await late.write(late.kept)
        third = CassandraMailStore(late)
        winner = ann if (await third.load("ann")).seq == ann.state.seq else before
        await third.commit(winner.deliver("b"))
        paused.go_on.set()
        (outcome,) = await asyncio.gather(claim, return_exceptions=True)
        assert isinstance(outcome, MailboxState | JournalConflict), outcome
        reader = CassandraMailStore(late)
        assert (await reader.load("ann")).seq == winner.state.seq
        await holds_what(reader, winner)
        assert (await reader.check("ann")).differences == ()


async def test_of_writers_that_claim_at_once_each_has_a_generation(session) -> None:
    statements = MailboxStatements(session)
    owners = [Ownership(session, statements) for _ in range(5)]
    claims = await asyncio.gather(*(owner.claim("ann", seq=0) for owner in owners[1:]))
    assert len(set(claims)) == 4
    assert await owners[0].claim("ann", seq=0) > max(claims)


async def test_a_load_claims_a_mailbox_only_if_another_writer_has_claimed_it(session) -> None:
    first, second, ann = CassandraMailStore(session), CassandraMailStore(session), Writer()

    async def generations() -> list[int]:
        rows = await session.read("SELECT generation FROM claim WHERE user_id = ?", "ann")
        return [generation for (generation,) in rows]

    await first.commit(ann.deliver("a"))
    for _ in range(3):
        assert await first.load("ann") == ann.state
    assert await generations() == [1]
    await second.commit(ann.deliver("b"))
    assert await generations() == [2]
    assert await first.load("ann") == ann.state
    assert await generations() == [3]


async def test_an_emptied_list_begins_again_in_other_partitions(session) -> None:
    """A folder that was emptied of many messages has no deleted rows among those it lists."""
    store, ann = CassandraMailStore(session), Writer()
    names = [str(number) for number in range(120)]
    for name in names:
        await store.commit(ann.deliver(name))
    for name in names:
        await store.commit(ann.destroy(name))
    await store.commit(ann.deliver("new"))
    rows = await session.read("SELECT list, head FROM list_head WHERE user_id = ?", "ann")
    heads = {name for name, _ in rows}
    assert {"u:inbox", "i:inbox", "c:inbox", "c:"} <= heads
    for name in ("u:inbox", "i:inbox"):
        table = "uid" if name.startswith("i") else "list_row"
        query = f"SELECT COUNT(*) FROM {table} WHERE user_id = ? AND list = ? AND era = 0"
        assert await session.read(f"{query} AND bucket = 0", "ann", name) == [(0,)]
    await holds_what(store, ann)
    assert (await store.check("ann")).differences == ()
