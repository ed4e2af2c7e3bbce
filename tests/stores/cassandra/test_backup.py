"""A mailbox is copied while it is written, restored, and the rest of its log is handled again.

POSTRIVER_SEED is the first seed, POSTRIVER_SEEDS the number of seeds.
"""

import asyncio
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest

from cli.wiring.cassandra_stores import schemas
from mail.errors import Fatal
from schemas.consistency import ExpectedMessage
from schemas.cql.mail_store import MAIL, MAIL_TABLES, MAILBOX
from schemas.cql.tables import CreateTable
from schemas.events.mailbox_commands import Batch, Command, Deliver
from schemas.ids import MessageId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import Message
from stores.cassandra.backup.history import copy_histories
from stores.cassandra.backup.load import NotEmpty, Restored, first_used_table
from stores.cassandra.backup.rows import CopiedRows, columns_of, copy_table
from stores.cassandra.backup.tables import COPIED, LEFT_OUT, RELISTED, VIEWS
from stores.cassandra.mail_store.catch_up import CatchUp
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.migrations import migrate
from stores.cassandra.session import CassandraSession, ClusterConfig, Row
from tests.stores.cassandra.conftest import ScopedSession
from tests.stores.cassandra.two_owners import NarrowGenerator, Owner, OwnerSession
from tests.support.cassandra import session_on
from tests.support.in_thread import in_thread

pytestmark = pytest.mark.distributed
SEEDS = int(os.environ.get("POSTRIVER_SEEDS", "8"))
FIRST = int(os.environ.get("POSTRIVER_SEED", "0"))
PAGE_ROWS = 40


class SlowReader(CassandraSession):
    """Reads small pages, so that others write between them."""

    async def page(
        self, cql: str, *values: object, rows: int, after: bytes | None
    ) -> tuple[list[Row], bytes | None]:
        await asyncio.sleep(0.01)
        return await super().page(cql, *values, rows=min(rows, PAGE_ROWS), after=after)


@dataclass
class ScopeSink:
    """Keeps copied rows of one scope."""

    scope: str
    parts: list[CopiedRows] = field(default_factory=list)

    def add(self, copied: CopiedRows) -> None:
        first = copied.columns.index(MAIL_TABLES[copied.table].key[0])
        own = [row for row in copied.rows if row[first].startswith(self.scope)]
        self.parts.append(CopiedRows(copied.table, copied.columns, own))

    def mark(self) -> int:
        return len(self.parts)

    def rewind(self, mark: int) -> None:
        del self.parts[mark:]


@pytest.fixture(scope="module")
def opened(cluster: ClusterConfig) -> Iterator[list[CassandraSession]]:
    """Sessions of two keyspaces with the tables of mailboxes."""

    with ExitStack() as stack:
        sessions: list[CassandraSession] = []
        for keyspace in ("copied", "restored"):
            config = replace(cluster, keyspace=keyspace)
            sessions.append(stack.enter_context(in_thread(session_on(config, SlowReader))))
            asyncio.run(migrate(sessions[-1], {"mail": MAIL}))
        yield sessions


def test_each_table_is_copied_made_again_or_left_out() -> None:
    made = {
        statement.name
        for migrations in schemas().values()
        for migration in migrations
        for statement in migration
        if isinstance(statement, CreateTable)
    }
    assert {table.name for table in (*COPIED, *RELISTED, *LEFT_OUT)} == made
    assert len({*COPIED, *RELISTED, *LEFT_OUT}) == len(COPIED) + len(RELISTED) + len(LEFT_OUT)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_a_mailbox_that_was_copied_while_it_was_written_goes_on(
    opened: list[CassandraSession], seed: int
) -> None:
    source, target = opened
    dice, scope = random.Random(seed), f"{os.getpid()}-{seed}-"
    log = NarrowGenerator(dice).log(dice.randrange(40, 70))
    owner = Owner(OwnerSession.of(source, scope), log, chunk_max=3)
    await owner.handle_to(dice.randrange(25))
    begun = owner.position
    going_on = asyncio.create_task(owner.handle_with_restarts(lambda: len(log)))
    sink = ScopeSink(scope)
    for table in VIEWS:
        await copy_table(source, table, sink)
    await copy_histories(source, sink)
    await going_on
    await restored(target, sink, log)
    users = sorted({command.user_id for command in log})
    before, after = (CassandraMailStore(ScopedSession.of(one, scope)) for one in opened)
    for user_id in users:
        assert (await after.check(user_id)).differences == (), "after the restore"
    again = Owner(OwnerSession.of(target, scope), list(log), chunk_max=3)
    again.position = max(0, begun - dice.randrange(3))
    await again.handle_with_restarts(lambda: len(again._log))
    for user_id in users:
        await check_same(before, after, user_id)


async def restored(target: CassandraSession, sink: ScopeSink, log: Sequence[Command]) -> None:
    await Restored(target, "r").load(sink.parts)
    session = ScopedSession.of(target, sink.scope)
    parts = [part for one in log for part in (one.parts if isinstance(one, Batch) else (one,))]
    # Of deliveries of one message the first is applied.
    read = {part.message_id: part.head for part in reversed(parts) if isinstance(part, Deliver)}

    async def heads(
        messages: Sequence[ExpectedMessage],
    ) -> Mapping[MessageId, HeaderSummary]:
        return {message.message_id: read[message.message_id] for message in messages}

    catch_up = CatchUp(session, heads)
    users = {
        row[0].removeprefix(sink.scope)
        for part in sink.parts
        if part.table == "claim"
        for row in part.rows
    }
    for user_id in sorted(users):
        await catch_up.run(UserId(user_id))
        assert not await catch_up.run(UserId(user_id)), "it is at the end of its journal"


async def check_same(
    before: CassandraMailStore, after: CassandraMailStore, user_id: UserId
) -> None:
    """Both mailboxes are the same, and the second is whole."""
    assert (await after.check(user_id)).differences == ()
    assert await after.state(user_id) == await before.state(user_id)
    assert await after.folders(user_id) == await before.folders(user_id)
    rows = await every(before, user_id)
    assert await every(after, user_id) == rows
    for row in rows:
        assert await after.by_mail(row.mail_id) == await before.by_mail(row.mail_id)


async def every(store: CassandraMailStore, user_id: UserId) -> list[Message]:
    return await store.by_id(user_id, after_id="", limit=500)


async def test_a_restore_begins_in_empty_tables(opened: list[CassandraSession]) -> None:
    source, _ = opened
    await source.write([(MAILBOX.put, ("a-user", "d1", 1, b"", 1))])
    assert await first_used_table(source) == "mailbox"
    with pytest.raises(NotEmpty, match="has rows in the table mailbox"):
        await Restored(source, "r").begin()


async def test_rows_of_another_table_or_column_are_refused(
    opened: list[CassandraSession],
) -> None:
    _, target = opened
    load = Restored(target, "r").load
    with pytest.raises(Fatal, match="of a table 'due'"):
        await load([CopiedRows("due", ("queue",), [])])
    with pytest.raises(Fatal, match="other columns of the table mailbox"):
        await load([CopiedRows("mailbox", ("user_id", "state) --"), [])])
    assert await columns_of(target, COPIED[0]) == ("domain_id", "generation", "state", "user_id")
