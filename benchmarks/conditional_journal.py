"""Cost of a lightweight transaction on the journal row of a mailbox, against the claims.

`python -m benchmarks.conditional_journal [--commits N] [--paxos v1|v2]`, from the root of the
checkout. On one Cassandra node the same deliveries are committed in two ways, in turns of a few
seconds, so that both meet the same machine:

    claims        the journal entry is written with its timestamp, then claims and entry are read
    conditional   the journal entry is written with IF NOT EXISTS, and nothing is read afterwards

A node of one machine has no network between its replicas; in a cluster both ways wait for two round
trips of a quorum (decision 0126).
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop

from benchmarks.fixtures import delivery
from mail import ids
from mail.errors import JournalConflict
from schemas.cql.mail_store import JOURNAL, JOURNAL_SHIFT
from schemas.ids import UserId
from stack.engines.cassandra import configuration_path
from stack.state_folder import StateFolder
from stores.cassandra.mail_store.history import History
from stores.cassandra.mail_store.mailbox_reads import MailboxReads
from stores.cassandra.mail_store.statements import MailboxStatements
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.mail_store.writer import MailboxWrites
from stores.cassandra.migrations import migrate
from stores.cassandra.roles import take_over
from stores.cassandra.session import CassandraSession, ClusterConfig
from tests.support.cassandra import CassandraNode

TURNS = 10
WARM_UP = 300  # commits, for the just-in-time compiler
_COLUMNS = (*JOURNAL.key, *JOURNAL.values)
_IF_NOT_EXISTS = (
    f"INSERT INTO journal ({', '.join(_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(_COLUMNS))}) IF NOT EXISTS"
)


class ConditionalWrites(MailboxWrites):
    """A journal entry is decided by Paxos; the check of the claims is not needed then."""

    async def _journal(
        self, user_id: UserId, seq: int, row: tuple[bytes, bytes], generation: int
    ) -> None:
        del generation
        rows = await self._session.read(_IF_NOT_EXISTS, user_id, seq >> JOURNAL_SHIFT, seq, *row)
        if not rows[0][0]:
            raise JournalConflict(user_id, seq)


@dataclass(slots=True)
class Side:
    """One way, with what was measured."""

    writes: MailboxWrites
    times_ms: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    cpu_s: float = 0.0  # of the node

    async def turn(self, node: psutil.Process, users: int, commits: int) -> None:
        """Commit `commits` deliveries to each of `users` new mailboxes."""
        began_s, cpu_s = time.perf_counter(), _cpu_s(node)
        await asyncio.gather(*(self._deliver(commits) for _ in range(users)))
        self.wall_s += time.perf_counter() - began_s
        self.cpu_s += _cpu_s(node) - cpu_s

    async def _deliver(self, commits: int) -> None:
        user_id = ids.new_id()
        for seq in range(1, commits + 1):
            commit = delivery(user_id, seq)
            began_s = time.perf_counter()
            await self.writes.commit(commit)
            self.times_ms.append((time.perf_counter() - began_s) * 1000)

    def line(self, name: str) -> str:
        times, count = sorted(self.times_ms), len(self.times_ms)
        return (
            f"{name:12} {statistics.fmean(times):7.2f} {times[count // 2]:7.2f} "
            f"{times[count * 99 // 100]:7.2f} {count / self.wall_s:8.0f} "
            f"{self.cpu_s / count * 1000:9.2f}"
        )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def new_side(session: CassandraSession, kind: type[MailboxWrites]) -> Side:
    reads = MailboxReads(session)
    return Side(kind(reads, History(reads), MailboxStatements(session)))


async def measure(session: CassandraSession, node: psutil.Process, commits: int) -> None:
    kinds = {"claims": MailboxWrites, "conditional": ConditionalWrites}
    for kind in kinds.values():
        await new_side(session, kind).turn(node, 10, WARM_UP // 10)
    for users in (1, 16):
        sides = {name: new_side(session, kind) for name, kind in kinds.items()}
        for _ in range(TURNS):
            for side in sides.values():
                await side.turn(node, users, max(commits // TURNS // users, 1))
        print(f"\n{users} mailboxes at once: ms mean, p50, p99; commits/s; node's CPU ms a commit")
        for name, side in sides.items():
            print(side.line(name))
        means = [statistics.fmean(side.times_ms) for side in sides.values()]
        print(f"conditional / claims: {means[1] / means[0]:.2f} x", flush=True)


async def run(node: CassandraNode, commits: int) -> None:
    config = ClusterConfig(port=node.port, user="setup", password="owner's", keyspace="bench")  # noqa: S106
    await take_over(config)
    session = await CassandraSession.open(config)
    try:
        await migrate(session, CassandraMailStore.schemas)
        await measure(session, psutil.Process(node.pid), commits)
    finally:
        await session.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--commits", type=int, default=2_000, help="of each way")
    parser.add_argument("--paxos", choices=["v1", "v2"], default="v2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        node = CassandraNode(Path(folder))
        path = configuration_path(StateFolder(Path(folder) / "home"))
        settings = json.loads(path.read_text()) | {"paxos_variant": options.paxos}
        path.write_text(json.dumps(settings))
        try:
            node.start()
            print(f"paxos {options.paxos}, {options.commits} commits of each way", flush=True)
            uvloop.run(run(node, options.commits))
        finally:
            node.stop()


if __name__ == "__main__":
    main()
