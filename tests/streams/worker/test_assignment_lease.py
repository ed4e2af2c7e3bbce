"""Assignment lease: a worker that was silent for the session timeout may write nothing."""

import signal
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)

from mail.errors import AssignmentInDoubt, Transient
from streams.worker.assignment_lease import AssignmentLease, renewing
from tests.streams.small import Note

TIMEOUT_S = 6.0
HEARTBEAT = HeartbeatRequest("group", 1, "member")
SYNC = SyncGroupRequest("group", 1, "member", None, [])
JOIN = JoinGroupRequest("group", 6_000, 10_000, "member", None, "consumer", [])
LEAVE = LeaveGroupRequest("group", "member")
COMMIT = OffsetCommitRequest("group", 1, "member", -1, [])
STALE, REBALANCING, ILLEGAL_GENERATION, UNKNOWN_MEMBER = 16, 27, 22, 25  # error codes


class BootClock:
    def __init__(self) -> None:
        self.ms = 5_000

    def lease(self) -> AssignmentLease:
        return AssignmentLease(TIMEOUT_S, lambda: self.ms)


@pytest.fixture
def clock() -> BootClock:
    return BootClock()


def test_a_lease_ends_at_the_session_timeout_after_the_last_answered_request(clock) -> None:
    lease = clock.lease()
    lease.renew(lease.now_ms())
    clock.ms += 5_999
    lease.check()
    clock.ms += 1
    with pytest.raises(AssignmentInDoubt, match=r"no heartbeat was answered for 6\.0 s"):
        lease.check()
    lease.renew(lease.now_ms())
    lease.check()


def test_the_time_of_the_request_counts_not_that_of_its_answer(clock) -> None:
    """The answer waited in the socket while the process was stopped."""
    lease = clock.lease()
    sent_ms = lease.now_ms()
    clock.ms += 60_000
    lease.renew(sent_ms)
    with pytest.raises(AssignmentInDoubt):
        lease.check()


def test_who_is_no_member_of_the_group_has_no_lease(clock) -> None:
    lease = clock.lease()
    with pytest.raises(AssignmentInDoubt, match="not a member"):
        lease.check()
    lease.renew(lease.now_ms())
    lease.check()
    lease.end()
    with pytest.raises(AssignmentInDoubt, match="not a member"):
        lease.check()


def test_an_event_that_meets_it_is_held_and_not_parked() -> None:
    assert issubclass(AssignmentInDoubt, Transient)
    assert AssignmentInDoubt("silent").served_s == 0  # so that no number of failures parks it


class Coordinator:
    """Answers each request with `error_code` after `takes_ms`."""

    def __init__(self) -> None:
        self.now_ms = 1_000
        self.takes_ms = 10
        self.error_code = 0
        self.lease = AssignmentLease(6.0, lambda: self.now_ms)
        self.send = renewing(self.lease, self._answer)
        self.was_leased = False  # when the last request arrived

    async def _answer(self, _: object) -> SimpleNamespace:
        self.was_leased = self.is_leased()
        self.now_ms += self.takes_ms
        if self.error_code < 0:
            raise KafkaConnectionError
        return SimpleNamespace(error_code=self.error_code)

    def is_leased(self) -> bool:
        try:
            self.lease.check()
        except AssignmentInDoubt:
            return False
        return True


@pytest.fixture
def coordinator() -> Coordinator:
    return Coordinator()


@pytest.mark.parametrize("request_", [HEARTBEAT, SYNC], ids=["heartbeat", "sync"])
async def test_an_accepted_request_renews_from_the_time_it_was_sent(coordinator, request_) -> None:
    await coordinator.send(request_)
    coordinator.now_ms += 5_989
    assert coordinator.is_leased()
    coordinator.now_ms += 1
    assert not coordinator.is_leased()


@pytest.mark.parametrize(
    "code", [STALE, REBALANCING, -1], ids=["moved", "rebalancing", "no answer"]
)
async def test_a_heartbeat_that_is_not_accepted_does_not_renew(coordinator, code) -> None:
    await coordinator.send(SYNC)
    coordinator.error_code = code
    coordinator.now_ms += 5_000
    try:
        await coordinator.send(HEARTBEAT)
    except KafkaConnectionError:
        assert code == -1
    assert coordinator.is_leased()
    coordinator.now_ms += 1_000
    assert not coordinator.is_leased()


@pytest.mark.parametrize("code", [ILLEGAL_GENERATION, UNKNOWN_MEMBER])
async def test_who_is_no_member_any_more_has_no_lease(coordinator, code) -> None:
    await coordinator.send(SYNC)
    coordinator.error_code = code
    await coordinator.send(HEARTBEAT)
    assert not coordinator.is_leased()


@pytest.mark.parametrize("request_", [JOIN, LEAVE], ids=["join", "leave"])
async def test_the_lease_ends_before_the_partitions_are_given_up(coordinator, request_) -> None:
    await coordinator.send(SYNC)
    assert coordinator.is_leased()
    await coordinator.send(request_)
    assert not coordinator.was_leased
    assert not coordinator.is_leased()


async def test_a_commit_of_offsets_changes_nothing(coordinator) -> None:
    await coordinator.send(COMMIT)
    assert not coordinator.is_leased()


@pytest.mark.kafka
@pytest.mark.distributed
@pytest.mark.timeout(300)
async def test_a_worker_stopped_past_its_session_timeout_has_no_lease_when_it_goes_on(
    make_workers, put
) -> None:
    """A handler that checks all the time finds out in the first check after SIGCONT."""
    workers = await make_workers(in_flight=1)
    late = workers.start()
    await put(workers, Note(key="k", number=1, word="lease"))
    await workers.until(lambda: workers.status(late)["ready"], within_s=120)
    await workers.until(lambda: len({line["renewed"] for line in workers.lines("allowed")}) >= 3)
    late.send_signal(signal.SIGSTOP)
    owner = workers.start()
    own = lambda what: [line for line in workers.lines(what) if line["pid"] == owner.pid]  # noqa: E731
    await workers.until(lambda: own("allowed"), within_s=120)
    before = [line for line in workers.lines("allowed") if line["pid"] == late.pid]
    late.send_signal(signal.SIGCONT)
    await workers.until(lambda: any(line["pid"] == late.pid for line in workers.lines("refused")))
    after = [line for line in workers.lines("allowed") if line["pid"] == late.pid]
    assert len(after) - len(before) <= 1  # a line that was being written when it was stopped
    assert not own("refused")
