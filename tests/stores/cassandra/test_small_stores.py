"""Contract suites of the small stores on a real Cassandra node."""

import asyncio
from itertools import count

import pytest

from mail.addresses import normal_address
from mail.errors import AlreadyExists
from mail.ids import dated_id
from schemas.cql.directory import SESSION_END, StoredDomain
from schemas.directory import Domain
from schemas.holders import DEAD_LETTERS_HOLDER
from stores.cassandra.directory.sessions import MINUTE_US
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.holders import CassandraHolders
from stores.cassandra.ledger import CassandraLedger
from stores.cassandra.outline_store import CassandraOutlineStore
from stores.cassandra.quarantine import CassandraQuarantine
from stores.cassandra.relay_queue import CassandraRelayQueue
from stores.cassandra.submissions import CassandraSubmissions
from stores.cassandra.uploads import CassandraUploads
from tests.contracts.directory import DirectoryContract
from tests.contracts.directory_rows import ANN, BOB, EXAMPLE, POSTMASTER, leads, settle, user
from tests.contracts.directory_rows import session as row_of_session
from tests.contracts.holders import HoldersContract, holder
from tests.contracts.ledger import LedgerContract
from tests.contracts.outline_store import OutlineStoreContract
from tests.contracts.quarantine import QuarantineContract, quarantined
from tests.contracts.relay_queue import EVERY, FAR, RelayQueueContract, outcomes, relay
from tests.contracts.submissions import SubmissionsContract
from tests.contracts.uploads import UploadsContract

pytestmark = pytest.mark.distributed


class TestCassandraHolders(HoldersContract):
    @pytest.fixture
    def holders(self, session):
        return CassandraHolders(session)

    @pytest.mark.parametrize("skew_us", [-(10**9), 10**9])
    async def test_a_clock_that_is_wrong_changes_no_result(self, holders, session, skew_us):
        """Each write by a host whose clock is 1,000 s behind or ahead, in either order."""
        name = f"{DEAD_LETTERS_HOLDER}:1"
        skewed = CassandraHolders(Skewed(session, skew_us))
        await skewed.hold([holder("m1", name)])
        await holders.release("m1", name)
        await skewed.release("m2", name)
        await holders.hold([holder("m2", name)])
        await holders.hold([holder("m3", name)])
        await skewed.release("m3", name)
        await skewed.hold([holder("m4", name)])
        assert await holders.any_held(["m1", "m2", "m3", "m4"]) == {"m4"}
        assert await holders.held_by(DEAD_LETTERS_HOLDER, limit=9) == [holder("m4", name)]


class TestCassandraQuarantine(QuarantineContract):
    @pytest.fixture
    def quarantine(self, session):
        return CassandraQuarantine(session)

    async def test_days_are_listed_newest_first(self, quarantine):
        noon_ms = 1_700_000_000_000
        ids = [dated_id(noon_ms + number * 43_200_000, str(number)) for number in range(5)]
        for mail_id in (ids[3], ids[0], ids[4], ids[2], ids[1]):
            await quarantine.put(quarantined(mail_id))
        shown = await quarantine.list(limit=3)
        rest = await quarantine.list(limit=3, before=shown[-1].mail_id)
        assert [row.mail_id for row in shown + rest] == ids[::-1]

    async def test_of_operators_at_once_the_first_release_stays(self, quarantine):
        await quarantine.put(quarantined("m1"))
        names = [f"operator {number}" for number in range(4)]
        await asyncio.gather(*(quarantine.release("m1", by=name, at_ms=7) for name in names))
        (row,) = await quarantine.list_unpublished(limit=9)
        assert row.released_by in names


class TestCassandraOutlineStore(OutlineStoreContract):
    @pytest.fixture
    def outlines(self, session):
        return CassandraOutlineStore(session)


class TestCassandraUploads(UploadsContract):
    @pytest.fixture
    def uploads(self, session):
        return CassandraUploads(session)


class TestCassandraSubmissions(SubmissionsContract):
    @pytest.fixture
    def submissions(self, session):
        return CassandraSubmissions(session)


class TestCassandraLedger(LedgerContract):
    @pytest.fixture
    def ledger(self, session):
        return CassandraLedger(session)


class TestCassandraRelayQueue(RelayQueueContract):
    @pytest.fixture
    def queue(self, session):
        return CassandraRelayQueue(session)

    async def test_mails_that_are_queued_and_claimed_at_once_are_each_sent_once(
        self, queue, session
    ):
        """The role and the stage that queues mails are two processes."""
        intake, sent = CassandraRelayQueue(session), []
        mails = [relay(f"m{number}", destination=f"{number % 3}.example") for number in range(24)]

        async def send() -> None:
            for now_ms in count(2_000, 100):  # the clock of the role goes on
                if len(sent) >= len(mails):
                    return
                for batch in await queue.claim(
                    EVERY, claim="p1", now_ms=now_ms, until_ms=FAR, limit=9
                ):
                    sent.append(batch.mail.mail_id)
                    await queue.record(outcomes(batch, "relayed", now_ms))

        async def add(some) -> None:
            for mail in some:
                await intake.put(mail, partition=3, at_ms=1_000)

        async with asyncio.timeout(60):
            await asyncio.gather(send(), *(add(mails[part::4]) for part in range(4)))
        assert sorted(sent) == sorted(mail.mail_id for mail in mails)
        assert await queue.counts() == {}


class TestCassandraDirectory(DirectoryContract):
    @pytest.fixture
    def directory(self, session):
        return CassandraDirectory(session)

    async def test_a_domain_whose_writer_was_killed_is_finished_by_the_next(self, directory):
        await interrupted(directory)
        assert await directory.domain("example.org") is None
        assert (await directory.list_domains(limit=9)).rows == []
        again = Domain(domain_id="d2", name="example.org", created_at_ms=2)
        with pytest.raises(AlreadyExists):
            await directory.add_domain(again, user("u9", "postmaster@example.org", domain_id="d2"))
        assert await directory.domain("example.org") == EXAMPLE
        assert await directory.user("u0") == POSTMASTER

    async def test_a_user_is_looked_for_where_it_was_found_and_found_elsewhere(self, directory):
        await settle(directory)
        assert await directory.user(ANN.user_id) == ANN
        found = {ANN.user_id: normal_address(ANN.address)}
        assert directory.known_addresses == found
        for wrong in ("nobody@example.org", BOB.address):
            directory.known_addresses[ANN.user_id] = wrong
            assert await directory.user(ANN.user_id) == ANN
            assert directory.known_addresses == found
        assert await directory.user("nobody") is None

    async def test_a_session_has_its_own_user_whatever_is_remembered(self, directory):
        await settle(directory)
        await directory.add_session(row_of_session("t", ANN.user_id))
        for remembered in (BOB.user_id, "nobody", ANN.user_id):
            directory.known_users["t"] = remembered
            assert await directory.session_and_user("t") == (row_of_session("t", ANN.user_id), ANN)
            assert directory.known_users == {"t": ANN.user_id}

    async def test_a_repeated_call_finishes_what_it_began(self, directory):
        await interrupted(directory)
        await settle(directory)
        assert await directory.user_by_address("bob@example.org") == BOB

    async def test_an_id_of_a_failed_addition_is_free(self, directory):
        await settle(directory)
        with pytest.raises(AlreadyExists):
            await directory.add_user(user("u3", "bob@example.org"))
        assert await directory.user("u3") is None
        await directory.add_user(user("u3", "carol@example.org"))
        assert (await directory.user("u3")).address == "carol@example.org"

    async def test_of_two_hosts_who_add_members_at_once_both_have_added(self, directory, session):
        await settle(directory)
        other = CassandraDirectory(session)
        names = [f"{letter}@example.org" for letter in "pqrs"]
        await asyncio.gather(
            *(
                store.add_alias(leads("all@example.org", name, is_group=True))
                for store, name in zip((directory, other) * 2, names, strict=True)
            )
        )
        (group,) = (await other.list_aliases(limit=9)).rows
        assert list(group.targets) == names

    async def test_an_end_that_comes_late_is_returned_once(self, directory, session):
        """Of a host whose clock is 5 s behind."""
        await settle(directory)
        for token in ("t1", "t2"):
            await directory.add_session(row_of_session(token, ANN.user_id))
        _, place = await directory.session_ends(None)
        await directory.end_session("t1")
        assert (await directory.session_ends(place))[0] == ["t1"]
        _, place = await directory.session_ends(place)
        await CassandraDirectory(Late(session)).end_session("t2")
        found, place = await directory.session_ends(place)
        assert found == ["t2"]
        assert await directory.session_ends(place) == ([], place)


async def interrupted(directory: CassandraDirectory) -> None:
    """Begin to add the domain; the writer is killed before it adds the postmaster."""
    row = StoredDomain(domain=EXAMPLE, postmaster=POSTMASTER)
    await directory.name_of_domain.add(EXAMPLE.domain_id, row=EXAMPLE.name)
    await directory.domains.change(
        EXAMPLE.name, to=lambda _: row, first=lambda _: directory.domain_names.put(EXAMPLE.name)
    )


class Late:
    """A session of a host that writes ends of sessions with times 5 s ago."""

    def __init__(self, session) -> None:
        self._session = session
        self.read = session.read

    async def write(self, statements) -> None:
        await self._session.write([self._late(*statement) for statement in statements])

    def _late(self, cql: str, values):
        if cql != SESSION_END.put:
            return cql, values
        log, _, at_us, token, stamp = values
        at_us -= 5_000_000
        return cql, (log, at_us // MINUTE_US, at_us, token, stamp)


class Skewed:
    """A session of a host whose clock is wrong."""

    def __init__(self, session, skew_us: int) -> None:
        self.read = session.read
        self._session = session
        self._skew_us = skew_us

    async def write(self, statements) -> None:
        await self._session.write([self._skewed(*statement) for statement in statements])

    def _skewed(self, cql: str, values):
        if cql.startswith("INSERT"):
            return cql, (*values[:-1], values[-1] + self._skew_us)
        return cql, (values[0] + self._skew_us, *values[1:])
