"""Ports of the admin API: what an operator does without the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mail.ports import Directory, Publisher
from mail.ports.relay_queue import RelayQueueAdmin
from mail.ports.submissions import Submissions
from mail.sending.dkim.keyring import DkimKeyrings
from operations.dead_letters import CauseCount
from operations.domain_records import TextLookup
from operations.ports import ReleasePorts
from operations.stack_status import StackStatus
from operations.trace import Tracer
from streams.dead_letters.admin import DeadLetterResult
from streams.dead_letters.records import DeadLetterFilter, ParkedRecord


class DeadLetterDesk(Protocol):
    """Dead letters, as operations/dead_letters.py has them. Raises BrokerUnavailable."""

    async def count_by_cause(self, conditions: DeadLetterFilter) -> list[CauseCount]: ...

    async def newest(self, limit: int, conditions: DeadLetterFilter) -> list[ParkedRecord]: ...

    async def get(self, letter_id: str) -> ParkedRecord:
        """Raises NotFound."""
        ...

    async def redrive(
        self,
        ids: Sequence[str] | None,
        *,
        conditions: DeadLetterFilter,
        dry_run: bool,
        force: bool,
    ) -> list[DeadLetterResult]:
        """`ids` None: all that wait and meet the conditions."""
        ...

    async def discard(
        self, ids: Sequence[str], reason: str, *, dry_run: bool
    ) -> list[DeadLetterResult]: ...

    async def park(self, name: str, *, dry_run: bool) -> bool:
        """Set aside the event TOPIC@PARTITION-OFFSET; whether this is done already.

        Raises Refused: there is no such event, or its stage has handled it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminPorts:
    """`publisher` publishes as an operator: it may write every topic."""

    stack: StackStatus
    directory: Directory
    release: ReleasePorts
    publisher: Publisher
    queue: RelayQueueAdmin
    submissions: Submissions
    letters: DeadLetterDesk
    tracer: Tracer
    keyrings: DkimKeyrings
    records: TextLookup
    hostname: str  # of MX and SPF records
