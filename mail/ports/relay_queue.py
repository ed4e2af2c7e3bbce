"""RelayQueue: recipients of other domains, one row for each until the mail is delivered."""

from collections.abc import Collection, Sequence
from typing import Literal, Protocol

from mail.errors import PostriverError
from schemas.events.sending import MailRelay
from schemas.ids import CommandId, MailId
from schemas.relay import (
    DestinationLoad,
    OldestRows,
    QueuedRecipient,
    RelayBatch,
    RelayedMail,
    RelayFilter,
    RelayKey,
    RelayOutcome,
    RelayReport,
    RelayRow,
    RelayState,
)

NO_KEY: RelayKey = (MailId(""), "", "")  # before every row
RelayAction = Literal["retry", "hold", "release", "cancel", "bounce"]


class ClaimLost(PostriverError):
    """Rows belong to another process now, or an operator changed them: do not send."""


class RelayQueue(Protocol):
    """The queue as the role relay uses it.

    A process claims rows before it sends, with a claim of its own. A row is done once and stays
    done. The cost of each call depends on what the call returns or changes and on the partitions,
    not on the number of rows.
    """

    async def put(self, mail: MailRelay, *, partition: int, at_ms: int) -> None:
        """Add a waiting row for each recipient that has none; the first attempt is due `at_ms`."""
        ...

    async def claim(
        self,
        partitions: Collection[int],
        *,
        claim: str,
        now_ms: int,
        until_ms: int,
        busy: Collection[str] = (),
        limit: int,
    ) -> list[RelayBatch]:
        """Claim due rows until then: of up to `limit` destinations one mail each.

        A destination whose turn was longest ago comes first, so a long queue of one destination
        does not delay the others. Destinations in `busy` are left out. A batch has up to 100 rows.
        Their `attempts` grow by one. Rows with a result that is not reported are not due.
        1 <= limit <= 500.
        """
        ...

    async def release_claims(self, partitions: Collection[int], *, claim: str, now_ms: int) -> int:
        """Make rows with claims other than `claim` due now, unless they are marked.

        For the new owner of partitions. Returns the number of rows, at most 500.
        """
        ...

    async def mark(self, rows: Sequence[RelayRow], *, at_ms: int, until_ms: int) -> None:
        """Record that the final dot is about to be sent for these claimed rows; all or none.

        A row is due again at `until_ms` if no result is recorded: then the peer may have taken the
        mail. Raises ClaimLost: a row is not claimed as in `rows`.
        """
        ...

    async def record(self, outcomes: Sequence[RelayOutcome]) -> None:
        """Record results of claimed rows, to be reported together.

        `deferred` waits until the result's next attempt; `relayed` and `failed` are done. The
        result of a row that is claimed otherwise by now is dropped, unless it is `relayed`.
        """
        ...

    async def unreported(self, partitions: Collection[int], *, limit: int) -> list[RelayReport]:
        """Return results that are not reported, grouped as recorded. 1 <= limit <= 500."""
        ...

    async def set_reported(self, report_ids: Sequence[CommandId]) -> None: ...

    async def settled(self, *, limit: int) -> list[RelayedMail]:
        """Return mails whose rows are all done and reported, unless `set_released`."""
        ...

    async def set_released(self, mails: Sequence[RelayedMail]) -> None:
        """Record that the mails' contents are no longer held."""
        ...

    async def delete_released(self, *, before_ms: int, limit: int) -> int:
        """Delete at most `limit` released mails that were settled before then; return how many."""
        ...


class RelayQueueAdmin(Protocol):
    """The queue as operators use it. Implemented by the queue itself."""

    async def find(
        self, conditions: RelayFilter, *, after: RelayKey = NO_KEY, limit: int
    ) -> list[QueuedRecipient]:
        """Return rows by ascending key, those after `after`. 1 <= limit <= 500.

        Reads rows until `limit` of them meet the conditions.
        """
        ...

    async def change(
        self, keys: Sequence[RelayKey], action: RelayAction, *, at_ms: int
    ) -> list[RelayKey]:
        """Apply an operator's action (mail/sending/relay_actions.py); return the changed keys.

        A row whose final dot is at work, or whose result is not reported, does not change.
        """
        ...

    async def loads(self, *, now_ms: int, limit: int) -> list[DestinationLoad]:
        """Return the destinations with most rows that are not done. 1 <= limit <= 500."""
        ...

    async def counts(self) -> dict[RelayState, int]:
        """Return the numbers of rows that are not done, by state."""
        ...

    async def oldest(self) -> OldestRows:
        """Return since when rows wait, and since when one of them is due.

        A row that is being sent is due at the end of its claim.
        """
        ...


class RelayQueueStore(RelayQueue, RelayQueueAdmin, Protocol):
    """Both ports of the queue, for the composition root; callers name the port they use."""
