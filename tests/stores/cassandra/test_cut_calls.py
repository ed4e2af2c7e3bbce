"""Calls that are cut at each of their requests, as by kill -9, and then made again.

A call that was cut is repeated by another process: that is how the roles work after a restart.
Nothing is lost, nothing is doubled.
"""

from typing import Any

import pytest

from mail.errors import AlreadyExists
from mail.ports import TooManyUploads
from schemas.ledger import PARKED, DeadLetterState
from schemas.submissions import HELD
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.ledger import CassandraLedger
from stores.cassandra.relay_queue import CassandraRelayQueue
from stores.cassandra.session import CassandraSession
from stores.cassandra.submissions import CassandraSubmissions
from stores.cassandra.uploads import CassandraUploads
from tests.contracts.directory_rows import ANN, EXAMPLE, POSTMASTER, leads, settle
from tests.contracts.directory_rows import session as row_of_session
from tests.contracts.ledger import closed, due
from tests.contracts.ledger import mail as accepted
from tests.contracts.relay_queue import EVERY, FAR, names, outcomes, relay
from tests.contracts.submissions import after, ids, submission
from tests.contracts.uploads import DAY_MS, NOW_MS, QUOTA, upload
from tests.stores.cassandra.conftest import ScopedSession
from tests.stores.cassandra.cut_calls import Cuts

pytestmark = pytest.mark.distributed


@pytest.fixture
def cuts(connected: CassandraSession, session: ScopedSession) -> Cuts:
    return Cuts(connected, session.scope)


async def nothing(_: Any) -> None:
    """No preparation."""


async def found_by_claims(queue: CassandraRelayQueue, now_ms: int, claim: str) -> list[str]:
    """What a process finds that looks again and again."""
    found: list[str] = []
    for tries in range(6):
        batches = await queue.claim(
            EVERY, claim=claim, now_ms=now_ms + 1_001 * tries, until_ms=FAR, limit=9
        )
        found += names(batches)
    return found


async def claimed(queue: CassandraRelayQueue) -> Any:
    await queue.put(relay("m1"), partition=3, at_ms=1_000)
    (batch,) = await queue.claim(EVERY, claim="p1", now_ms=2_000, until_ms=FAR, limit=9)
    return batch


async def test_a_mail_is_queued(cuts: Cuts) -> None:
    async def call(queue: CassandraRelayQueue, _: Any) -> None:
        await queue.put(relay("m1"), partition=3, at_ms=1_000)

    async def check(queue: CassandraRelayQueue, _: Any) -> None:
        early = await queue.claim(EVERY, claim="p2", now_ms=1_500, until_ms=FAR, limit=9)
        await call(queue, None)
        assert names(early) + await found_by_claims(queue, 3_000, "p2") == ["m1"]
        assert await queue.counts() == {"waiting": 1}

    assert await cuts.each(CassandraRelayQueue, nothing, call, check) > 5


async def test_a_claim_goes_to_the_next_process(cuts: Cuts) -> None:
    async def prepare(queue: CassandraRelayQueue) -> None:
        for number in (1, 2):
            await queue.put(relay(f"m{number}"), partition=3, at_ms=1_000)

    async def call(queue: CassandraRelayQueue, _: Any) -> None:
        await queue.claim(EVERY, claim="p1", now_ms=2_000, until_ms=FAR, limit=9)

    async def check(queue: CassandraRelayQueue, _: Any) -> None:
        await queue.release_claims(EVERY, claim="p2", now_ms=3_000)
        assert sorted(await found_by_claims(queue, 3_000, "p2")) == ["m1", "m2"]

    assert await cuts.each(CassandraRelayQueue, prepare, call, check) > 10


async def test_a_result_is_reported_and_the_mail_is_sent_again(cuts: Cuts) -> None:
    async def call(queue: CassandraRelayQueue, batch: Any) -> None:
        late = outcomes(batch, "deferred", 3_000, next_attempt_at_ms=9_000)
        await queue.record(late)
        reports = await queue.unreported(EVERY, limit=9)
        await queue.set_reported([report.report_id for report in reports])

    async def check(queue: CassandraRelayQueue, batch: Any) -> None:
        await call(queue, batch)
        assert await queue.unreported(EVERY, limit=9) == []
        assert await found_by_claims(queue, 9_000, "p1") == ["m1"]
        assert await queue.counts() == {"waiting": 1}

    assert await cuts.each(CassandraRelayQueue, claimed, call, check) > 10


async def test_a_mail_that_is_done_is_released_and_deleted(cuts: Cuts) -> None:
    async def prepare(queue: CassandraRelayQueue) -> None:
        await queue.record(outcomes(await claimed(queue), "relayed", 3_000))

    async def call(queue: CassandraRelayQueue, _: Any) -> None:
        reports = await queue.unreported(EVERY, limit=9)
        await queue.set_reported([report.report_id for report in reports])
        await queue.set_released(await queue.settled(limit=9))
        await queue.delete_released(before_ms=FAR, limit=9)

    async def check(queue: CassandraRelayQueue, _: Any) -> None:
        await call(queue, None)
        assert await queue.settled(limit=9) == []
        assert await queue.counts() == {}
        assert await queue.mails.get("m1", "example.net") is None

    assert await cuts.each(CassandraRelayQueue, prepare, call, check) > 10


async def test_a_held_submission_is_due(cuts: Cuts) -> None:
    row = submission("s1", status=HELD, fire_at_ms=100, idempotency_key="k")

    async def call(submissions: CassandraSubmissions, _: Any) -> None:
        await submissions.put(row)
        await submissions.put(after(row, status=HELD, fire_at_ms=200))

    async def check(submissions: CassandraSubmissions, _: Any) -> None:
        stored = await submissions.get("s1")
        if stored is None or stored.version == 1:
            await call(submissions, None)
        else:
            await submissions.put(after(row, status=HELD, fire_at_ms=200))
        assert ids(await submissions.held(EVERY, until_ms=200, limit=9)) == ["s1"]
        assert await submissions.held(EVERY, until_ms=199, limit=9) == []
        assert ids(await submissions.walk(after="", limit=9)) == ["s1"]
        assert ids(await submissions.list("ann", limit=9)) == ["s1"]
        assert (await submissions.volume("ann", since_ms=0)).mails == 1
        assert (await submissions.by_key("ann", "k")).version == 2

    assert await cuts.each(CassandraSubmissions, nothing, call, check) > 10


async def test_a_submission_is_released_and_deleted(cuts: Cuts) -> None:
    async def prepare(submissions: CassandraSubmissions) -> None:
        row = submission("s1", idempotency_key="k")
        await submissions.put(row)
        await submissions.put(after(row, at_ms=5, status="sent"))

    async def call(submissions: CassandraSubmissions, _: Any) -> None:
        found = await submissions.settled(before_ms=9, limit=9)
        await submissions.set_released(ids(found))
        await submissions.delete_released(before_ms=9, limit=9)

    async def check(submissions: CassandraSubmissions, _: Any) -> None:
        await call(submissions, None)
        assert await submissions.get("s1") is None
        assert await submissions.by_key("ann", "k") is None
        assert await submissions.settled(before_ms=9, limit=9) == []
        assert await submissions.delete_released(before_ms=9, limit=9) == 0

    assert await cuts.each(CassandraSubmissions, prepare, call, check) > 9


async def test_the_quota_of_uploads_holds_and_each_upload_expires(cuts: Cuts) -> None:
    rows = [upload(f"u{number}") for number in range(QUOTA.uploads)]

    async def call(uploads: CassandraUploads, _: Any) -> None:
        for row in rows:
            await uploads.begin(row, quota=QUOTA, now_ms=NOW_MS)
            await uploads.finish(row.upload_id, sha256="s")

    async def check(uploads: CassandraUploads, _: Any) -> None:
        await call(uploads, None)
        with pytest.raises(TooManyUploads):
            await uploads.begin(upload("more"), quota=QUOTA, now_ms=NOW_MS)
        ended = await uploads.expire_due(now_ms=NOW_MS + DAY_MS, limit=9)
        assert {row.upload_id for row in ended} == {row.upload_id for row in rows}

    assert await cuts.each(CassandraUploads, nothing, call, check) > 10


async def test_a_mail_of_the_ledger_is_looked_at_until_it_is_closed(cuts: Cuts) -> None:
    parked = DeadLetterState(letter_id="e/0-1", state=PARKED, at_ms=3, mail_id="m1")

    async def call(ledger: CassandraLedger, _: Any) -> None:
        await ledger.add([accepted("m1", 5, "ann", "bob", header="h@x")])
        await ledger.record_dead_letters([parked])

    async def check(ledger: CassandraLedger, _: Any) -> None:
        await call(ledger, None)
        assert await due(ledger, 9) == ["m1"]
        assert len(await ledger.list_by_header("h@x")) == 1
        assert len(await ledger.list_of_user("bob", since_ms=0, until_ms=9, limit=9)) == 1
        assert await ledger.dead_letters(["m1"]) == [parked]
        entry = await ledger.get("m1")
        assert entry.reopened >= 1, "the dead letter opened the mail"
        done = closed("m1", "ann", "bob", reopened=entry.reopened)
        assert await ledger.record([done]) == {"m1"}
        assert await due(ledger, 9) == []
        assert await ledger.prune(before_ms=9, limit=9) == 1
        assert await ledger.accepted(since_ms=0, until_ms=9, limit=9) == []

    assert await cuts.each(CassandraLedger, nothing, call, check) > 10


async def test_a_domain_comes_with_its_postmaster_or_not_at_all(cuts: Cuts) -> None:
    async def call(directory: CassandraDirectory, _: Any) -> None:
        await directory.add_domain(EXAMPLE, POSTMASTER)

    async def check(directory: CassandraDirectory, _: Any) -> None:
        shown = await directory.domain("example.org")
        if shown is not None:
            assert await directory.user("u0") == POSTMASTER
        await call(directory, None)
        await settle(directory)
        assert [row.name for row in (await directory.list_domains(limit=9)).rows] == ["example.org"]
        assert len((await directory.list_users(limit=9)).rows) == 3

    assert await cuts.each(CassandraDirectory, nothing, call, check) > 5


async def test_an_address_belongs_to_one_owner(cuts: Cuts) -> None:
    async def call(directory: CassandraDirectory, _: Any) -> None:
        await directory.add_alias(leads("news@example.org", "bob@example.org"))
        await directory.remove_alias("news@example.org")
        await directory.add_alias(leads("news@example.org", "ann.lee@example.org"))

    async def check(directory: CassandraDirectory, _: Any) -> None:
        if "news@example.org" in await directory.find(["news@example.org"]):
            await directory.remove_alias("news@example.org")
        last = leads("news@example.org", "ann.lee@example.org")
        await directory.add_alias(last)
        assert await directory.addresses_leading_to("ann.lee@example.org") == [last.address]
        assert await directory.addresses_leading_to("bob@example.org") == []
        with pytest.raises(AlreadyExists):
            await directory.add_alias(leads("news@example.org", "bob@example.org"))

    assert await cuts.each(CassandraDirectory, settle, call, check) > 5


async def test_a_new_password_leaves_no_old_session(cuts: Cuts) -> None:
    """The password is the old one, or every session has ended."""

    async def prepare(directory: CassandraDirectory) -> None:
        await settle(directory)
        for token in ("t1", "t2"):
            await directory.add_session(row_of_session(token, ANN.user_id))

    async def call(directory: CassandraDirectory, _: Any) -> None:
        await directory.set_password(ANN.user_id, "new")

    async def check(directory: CassandraDirectory, _: Any) -> None:
        if (await directory.user(ANN.user_id)).password_hash == "new":
            assert await directory.sessions(ANN.user_id, limit=9) == []
            assert await directory.session("t1") is None
        await call(directory, None)
        assert await directory.sessions(ANN.user_id, limit=9) == []

    assert await cuts.each(CassandraDirectory, prepare, call, check) > 5
