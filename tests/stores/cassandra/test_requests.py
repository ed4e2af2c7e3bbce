"""How many requests the calls cost that are made for every mail."""

from functools import partial
from typing import Any

import pytest

from mail.ids import new_id
from schemas.conversations import ConversationFilter
from schemas.ids import MailId
from schemas.mailbox import INBOX, Filter, Page
from stores.cassandra.content_store import CassandraContentStore
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.ledger import CassandraLedger
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.session import CassandraSession, Row
from stores.s3.objects import S3Objects
from tests.contracts.directory_rows import ANN, settle
from tests.contracts.directory_rows import session as signed_in
from tests.contracts.ledger import closed, mail
from tests.contracts.mailboxes import Writer
from tests.stores.cassandra.conftest import ScopedSession

pytestmark = pytest.mark.distributed
MAILS = 100


class CountingSession(ScopedSession):
    """Counts the requests that are sent to the node."""

    requests = 0

    async def _answer(self, *values: Any, **more: Any) -> list[Row]:
        self.requests += 1
        return await super()._answer(*values, **more)

    def spent(self) -> int:
        """The number of requests since the last call."""
        spent, self.requests = self.requests, 0
        return spent


@pytest.fixture
def counting(connected: CassandraSession, session: ScopedSession) -> CountingSession:
    return CountingSession.of(connected, session.scope)


async def test_mails_are_entered_and_closed_together(counting: CountingSession) -> None:
    ledger = CassandraLedger(counting)
    names = [f"m{number}" for number in range(MAILS)]
    await ledger.add([mail(name, 10, f"user {name[-1]}", header=name) for name in names])
    assert counting.spent() < 1.3 * MAILS  # one each, to enter it

    found = await ledger.due(now_ms=10, limit=MAILS, horizon_ms=10**12)
    await ledger.dead_letters(entry.mail_id for entry in found)
    await ledger.record([closed(entry.mail_id, *entry.states) for entry in found])
    assert len(found) == MAILS
    assert counting.spent() < 1.3 * MAILS


async def test_a_ledger_without_open_mails_costs_little(counting: CountingSession) -> None:
    ledger = CassandraLedger(counting)
    await ledger.add([mail("m1", 10)])
    await ledger.record([closed("m1")])
    counting.spent()
    assert await ledger.due(now_ms=20, limit=500, horizon_ms=10**12) == []
    assert (await ledger.totals()).open_mails == 0
    assert await ledger.newest_accepted_ms() == 10
    assert counting.spent() < 20


async def test_ends_of_sessions_are_asked_for_in_one_request(counting: CountingSession) -> None:
    directory = CassandraDirectory(counting)
    _, place = await directory.session_ends(None)
    for _ in range(2):  # without an end
        counting.spent()
        assert await directory.session_ends(place) == ([], place)
    assert counting.spent() == 1


async def test_a_known_session_and_its_user_are_two_requests(counting: CountingSession) -> None:
    directory = CassandraDirectory(counting)
    await settle(directory)
    await directory.add_session(signed_in("t", ANN.user_id))
    for _ in range(2):
        counting.spent()
        assert await directory.session_and_user("t") == (signed_in("t", ANN.user_id), ANN)
    assert counting.spent() == 2


async def test_a_page_of_a_known_state_is_three_requests(counting: CountingSession) -> None:
    store, writer = CassandraMailStore(counting), Writer()
    commits = [writer.deliver(f"mail {number}") for number in range(9)]
    await store.commit_all(commits)
    state = await store.state(writer.user_id)
    await store.commit(writer.deliver("later"))
    for read, row_requests in (
        (partial(store.page, conditions=Filter(), cursor=None), 1),
        (partial(store.page_at, conditions=Filter(), position=0), 1),
        (partial(store.conversations, conditions=ConversationFilter(), cursor=None), 3),
        (partial(store.conversations_at, conditions=ConversationFilter(), position=0), 3),
    ):
        counting.spent()
        page = await read(writer.user_id, INBOX, limit=50, state=state)
        assert counting.spent() == 2 + row_requests  # heads, places; rows, threads, their newest
        assert page.seq == state.seq
        shown = page.messages if isinstance(page, Page) else page.conversations
        assert len(shown) == 10  # as new as the state or newer


async def test_a_new_content_is_written_without_a_look(
    counting: CountingSession, objects: S3Objects
) -> None:
    contents = CassandraContentStore(counting, objects, lambda name: f"objects/{name}")
    mail_id = MailId(new_id())
    stored = await contents.put(mail_id, b"text")
    assert counting.spent() == 3  # an entry for the packer, the content, its place
    assert await contents.put(mail_id, b"text") == stored
    assert await contents.get(stored.ref) == b"text"


async def test_a_delivery_reads_only_what_its_writer_does_not_know(
    counting: CountingSession,
) -> None:
    store, writer = CassandraMailStore(counting), Writer()
    await store.load(writer.user_id)
    counting.spent()
    for number in range(3):
        commit = writer.deliver(f"mail {number}")
        ids = [row.message_id for row in commit.messages]
        await store.rows_and_threads(writer.user_id, ids, list(commit.threads))
        await store.commit(commit)
    # Each: message, keys; command, thread, correspondent; entry, claims, its stamp; views, state.
    assert counting.spent() == 3 * 10


async def test_deliveries_that_are_written_together_share_the_requests(
    counting: CountingSession,
) -> None:
    store, writer = CassandraMailStore(counting), Writer()
    await store.load(writer.user_id)
    counting.spent()
    number, together = 1_100, 20  # so that the journal begins its second bucket
    for first in range(0, number, together):
        commits = [writer.deliver(f"mail {name}") for name in range(first, first + together)]
        await store.commit_all(commits)
    assert counting.spent() < 1.5 * number
    reader = CassandraMailStore(counting)
    assert await reader.load(writer.user_id) == writer.state
    journal = await reader.journal(writer.user_id, since_seq=900, limit=1_000)
    assert journal == writer.entries[900:]
    assert (await reader.check(writer.user_id)).differences == ()
