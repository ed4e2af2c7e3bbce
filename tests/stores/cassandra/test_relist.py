"""Rows of the small stores are copied without the lists that lead to them, which are made again."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from mail.ids import new_id
from schemas.cql.directory import SESSION
from schemas.cql.ledger import LEDGER, LETTER
from schemas.cql.relay import RELAY_MAIL
from schemas.cql.submissions import SUBMISSION
from schemas.cql.tables import Table
from schemas.cql.uploads import UPLOADS_OF_USER
from schemas.directory import Session
from schemas.ledger import PARKED, DeadLetterState
from schemas.submissions import CANCELED, HELD
from stores.cassandra.backup.load import Restored
from stores.cassandra.backup.rows import CopiedRows, copy_table
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.ledger import CassandraLedger
from stores.cassandra.relay_queue import CassandraRelayQueue
from stores.cassandra.session import CassandraSession
from stores.cassandra.submissions import CassandraSubmissions
from stores.cassandra.uploads import CassandraUploads
from tests.contracts import ledger as ledger_rows
from tests.contracts import uploads as upload_rows
from tests.contracts.directory_rows import settle
from tests.contracts.relay_queue import names, relay
from tests.contracts.submissions import after, submission
from tests.stores.cassandra.conftest import ScopedSession

pytestmark = pytest.mark.distributed


@dataclass
class ScopeChange:
    """Takes the copied rows of one scope into another."""

    table: Table
    scope: str
    into: str
    parts: list[CopiedRows] = field(default_factory=list)

    def add(self, copied: CopiedRows) -> None:
        at = copied.columns.index(self.table.key[0])
        rows = [
            (*row[:at], self.into + row[at].removeprefix(self.scope), *row[at + 1 :])
            for row in copied.rows
            if row[at].startswith(self.scope)
        ]
        self.parts.append(CopiedRows(copied.table, copied.columns, rows))

    def mark(self) -> int:
        return len(self.parts)

    def rewind(self, mark: int) -> None:
        del self.parts[mark:]


Restore = Callable[..., object]


@pytest.fixture
def restored(connected: CassandraSession, session: ScopedSession) -> Restore:
    """Copies the rows of tables into another scope; returns its session."""

    async def copied(*tables: Table) -> ScopedSession:
        target = ScopedSession.of(connected, f"again-{session.scope}")
        for table in tables:
            sink = ScopeChange(table, session.scope, target.scope)
            await copy_table(connected, table, sink)
            assert await Restored(connected, "r").load(sink.parts)
        return target

    return copied


async def test_submissions(session: ScopedSession, restored: Restore) -> None:
    before = CassandraSubmissions(session)
    held = submission(new_id(), status=HELD, fire_at_ms=5_000, idempotency_key="k")
    ended = submission(new_id())
    for row in (held, ended):
        await before.put(row)
    ended = after(ended, at_ms=2_000, status=CANCELED)
    await before.put(ended)
    await before.set_released([ended.submission_id])
    store = CassandraSubmissions(await restored(SUBMISSION))
    assert await store.list("ann", limit=9) == []
    await store.relist()
    assert await store.list("ann", limit=9) == [ended, held]
    assert await store.held([3], until_ms=6_000, limit=9) == [held]
    assert await store.by_key("ann", "k") == held
    assert await store.walk(after="", limit=9) == [held, ended]
    assert (await store.volume("ann", since_ms=0)).mails == 2
    assert await store.settled(before_ms=10_000, limit=9) == [ended], "released once more"


async def test_relayed_mail(session: ScopedSession, restored: Restore) -> None:
    before, name = CassandraRelayQueue(session), new_id()
    await before.put(relay(name), partition=3, at_ms=1_000)
    store = CassandraRelayQueue(await restored(RELAY_MAIL))
    claim = {"claim": "p1", "now_ms": 2_000, "until_ms": 9_000, "limit": 9}
    assert await store.claim([3], **claim) == []
    await store.relist()
    assert names(await store.claim([3], **claim)) == [name]
    assert await store.claim([3], **claim) == []


async def test_a_ledger(session: ScopedSession, restored: Restore) -> None:
    before = CassandraLedger(session)
    await before.add([ledger_rows.mail("m1", 5), ledger_rows.mail("m2", 6, header="<h>")])
    await before.record([ledger_rows.closed("m1")])
    letter = DeadLetterState(letter_id="e/0/1", mail_id="m2", state=PARKED, at_ms=7)
    await before.record_dead_letters([letter])
    store = CassandraLedger(await restored(LEDGER, LETTER))
    assert await ledger_rows.all_of(store) == []
    await store.relist()
    assert await ledger_rows.all_of(store) == ["m1", "m2"]
    assert await ledger_rows.due(store, 10) == ["m2"]
    assert await store.totals() == await before.totals()
    assert await store.dead_letters(["m2"]) == [letter]
    assert [one.mail_id for one in await store.list_by_header("<h>")] == ["m2"]
    found = await store.list_of_user("ann", since_ms=0, until_ms=100, limit=9)
    assert [one.mail_id for one in found] == ["m2", "m1"]


async def test_uploads(session: ScopedSession, restored: Restore) -> None:
    before, row = CassandraUploads(session), upload_rows.upload("u1")
    await upload_rows.put(before, row)
    store = CassandraUploads(await restored(UPLOADS_OF_USER))
    late_ms = row.expires_at_ms + 1
    assert await store.expire_due(now_ms=late_ms, limit=9) == []
    await store.relist()
    (ended,) = await store.expire_due(now_ms=late_ms, limit=9)
    assert ended.upload_id == "u1"
    await store.delete(["u1"])
    assert await store.usage("ann", now_ms=upload_rows.NOW_MS) == upload_rows.Usage(0, 0)


async def test_sessions(session: ScopedSession, restored: Restore) -> None:
    before = CassandraDirectory(session)
    await settle(before)
    made = Session(token_sha256="t1", user_id="u1", expires_at_ms=99)
    await before.add_session(made)
    await before.use_session("t1", at_ms=7)
    store = CassandraDirectory(await restored(SESSION))
    assert await store.sessions("u1", limit=9) == []
    await store.relist()
    (found,) = await store.sessions("u1", limit=9)
    assert (found.token_sha256, found.used_at_ms) == ("t1", 7)
    assert await store.prune_sessions(99) == 1
