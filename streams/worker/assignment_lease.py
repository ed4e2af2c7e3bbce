"""Assignment lease: how long a worker may count on being the owner of its partitions.

The broker gives the partitions of a group member to other members after the member was silent for
the session timeout. A worker that was stopped (SIGSTOP, a laptop that sleeps) goes on in the middle
of a step, and does not know that. So its stores ask the lease before each statement that only the
owner may send. The clock is CLOCK_BOOTTIME, which goes on during suspend.

aiokafka has no hook for answered heartbeats, so the requests of its coordinator are watched. An
accepted Heartbeat or SyncGroup renews the lease. A JoinGroup or a LeaveGroup ends it before it is
sent, and so does a Heartbeat if the broker answers that it does not know the member. A Heartbeat
that is answered with REBALANCE_IN_PROGRESS does neither: after the rebalance timeout the broker
goes on without this member, even if it sends heartbeats.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import errors
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)

from mail.clock_guard import boot_ms
from mail.errors import AssignmentInDoubt

_ACCEPTED = errors.NoError.errno
_NO_MEMBER = {errors.UnknownMemberIdError.errno, errors.IllegalGenerationError.errno}
Send = Callable[[Any], Awaitable[Any]]  # a request to the coordinator; returns the response


class AssignmentLease:
    """Of one consumer group member; renewed by the thread of its consumer, checked by any thread.

    `clock_ms` is a parameter only for tests.
    """

    def __init__(self, session_timeout_s: float, clock_ms: Callable[[], int] = boot_ms) -> None:
        self._limit_ms = int(session_timeout_s * 1000)
        self._clock_ms = clock_ms
        self._renewed_ms: int | None = None

    def now_ms(self) -> int:
        return self._clock_ms()

    def renew(self, sent_ms: int) -> None:
        """The broker has answered a request that was sent at `sent_ms` by `now_ms`.

        The time of the request counts: the broker received it later, and its answer may have
        waited while this process was stopped.
        """
        self._renewed_ms = sent_ms

    def end(self) -> None:
        """This process joins its group again, or is no member: its partitions may be given away."""
        self._renewed_ms = None

    def check(self) -> None:
        """Raises AssignmentInDoubt: another worker may own the partitions."""
        renewed_ms = self._renewed_ms
        if renewed_ms is None:
            raise AssignmentInDoubt("this worker is not a member of its group now")
        silent_ms = self._clock_ms() - renewed_ms
        if not 0 <= silent_ms < self._limit_ms:
            raise AssignmentInDoubt(f"no heartbeat was answered for {silent_ms / 1000:.1f} s")


def renewing(lease: AssignmentLease, send: Send) -> Send:
    """Return `send`, which also renews and ends `lease`."""

    async def send_and_renew(request: Any) -> Any:
        if isinstance(request, JoinGroupRequest | LeaveGroupRequest):
            lease.end()
        sent_ms = lease.now_ms()
        response = await send(request)
        if isinstance(request, HeartbeatRequest | SyncGroupRequest):
            if response.error_code == _ACCEPTED:
                lease.renew(sent_ms)
            elif response.error_code in _NO_MEMBER:
                lease.end()
        return response

    return send_and_renew
