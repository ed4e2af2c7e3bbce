"""Attempt: one mail to one domain, from the claimed rows of the queue to recorded results.

The rows are marked before the final dot and hold the result after its answer. A process that ends
in between leaves marked rows: the peer may have the mail, and gets it again (RFC 5321 §4.5.4.1).
That is the only way to a duplicate. A row that another process claimed meanwhile, or that an
operator changed, fails the mark, and the dot is not sent.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, cast

from agents.ports import RelayWorkPorts
from agents.relaying.unreachable import Unreachable
from mail.clock_guard import ClockGuard
from mail.errors import Poison, Transient
from mail.ports.mail_transport import ForwardPath, RecipientOutcome, Transmission
from mail.ports.relay_queue import ClaimLost
from mail.sending.attempt_results import AttemptResults, is_unreachable
from schemas.relay import RelayBatch, RelayOutcome, RelayRow
from schemas.submissions import Returned

log = logging.getLogger(__name__)
T = TypeVar("T")
IN_DOUBT_MS = 900_000  # longer than the wait for the answer to a final dot (RFC 5321 §4.5.3.2.6)
STORE_RETRY_S = 2.0
MARK_TRIES = 20  # within which a peer waits for the final dot; then the connection is dropped
_RET: dict[Returned, Literal["", "FULL", "HDRS"]] = {"": "", "full": "FULL", "headers": "HDRS"}


@dataclass(slots=True)
class RelayAttempt:
    """One attempt. `marked`: addresses whose final dot was, or is about to be, sent."""

    batch: RelayBatch
    ports: RelayWorkPorts
    unreachable: Unreachable
    clock: ClockGuard
    marked: set[str] = field(default_factory=set)

    async def run(self) -> Sequence[RelayOutcome]:
        """Send, and record the results, which are returned; empty: the claim was lost."""
        try:
            outcomes = await self._outcomes()
        except ClaimLost as lost:
            log.info("not sent: %s", lost)
            return ()
        now_ms = self.clock.now_ms()
        may_give_up = self.clock.moved() is None
        results = AttemptResults(
            schedule=self.ports.schedule, may_give_up=may_give_up, now_ms=now_ms
        )
        rows = {row.recipient.address: row for row in self.batch.rows}
        ends = [
            RelayOutcome(row=row, result=results.of(self.batch.mail, row, outcome))
            for outcome in outcomes
            for row in (rows[outcome.address],)
        ]
        if ends:
            await _until_stored(lambda: self.ports.queue.record(ends))
        return ends

    async def _outcomes(self) -> Sequence[RecipientOutcome]:
        """The outcomes of the rows; a row without one is in doubt. Raises ClaimLost."""
        mail = self.batch.mail
        fault = await _until_stored(lambda: self.ports.senders.fault(mail.user_id, ()))
        if fault is not None:
            return [_local(row, "failed", *fault) for row in self.batch.rows]
        if (reason := self.unreachable.reason(self._place)) is not None:
            return [_local(row, "deferred", *reason) for row in self.batch.rows]
        try:
            outcomes = await self._send()
        except Poison as error:
            log.warning("%s cannot be sent: %s", mail.mail_id, error)
            return [_local(row, "failed", "5.3.0", str(error)) for row in self._unmarked()]
        if outcomes and is_unreachable(tuple(outcomes)):
            self.unreachable.add(self._place, outcomes[0])
        else:
            self.unreachable.discard(self._place)
        return outcomes

    @property
    def _place(self) -> str:
        """The smarthost, or the destination."""
        smarthost = self.ports.setting.smarthost
        return f"{smarthost.host}:{smarthost.port}" if smarthost else self.batch.mail.destination

    async def _send(self) -> Sequence[RecipientOutcome]:
        """Send; while a store does not answer, again with the rows that are not marked."""
        rows = list(self.batch.rows)
        while rows:
            try:
                return await self.ports.transport.send(self._transmission(rows))
            except Transient as error:
                log.warning("%s waits: %s", self.batch.mail.mail_id, error)
                await asyncio.sleep(STORE_RETRY_S)
                rows = self._unmarked()
            except (ClaimLost, Poison):
                raise
            except Exception:
                log.exception("%s: the attempt failed", self.batch.mail.mail_id)
                return [_local(row, "deferred", "4.3.0", "error here") for row in self._unmarked()]
        return []

    def _unmarked(self) -> list[RelayRow]:
        return [row for row in self.batch.rows if row.recipient.address not in self.marked]

    def _transmission(self, rows: Sequence[RelayRow]) -> Transmission:
        mail, contents = self.batch.mail, self.ports.contents

        async def read(start: int, size_bytes: int) -> bytes:
            return await contents.read(mail.content.ref, start=start, size_bytes=size_bytes)

        return Transmission(
            mail_id=mail.mail_id,
            domain=mail.destination,
            smarthost=self.ports.setting.smarthost,
            reverse_path=mail.reverse_path,
            recipients=tuple(_forward_path(row) for row in rows),
            size_bytes=mail.content.size_bytes,
            read=read,
            prefix=mail.prefix,
            smtputf8=mail.needs_smtputf8,
            eight_bit=mail.eight_bit,
            envid=mail.envelope_id,
            ret=_RET[mail.returned],
            before_final_dot=self._mark,
        )

    async def _mark(self, addresses: Sequence[str]) -> None:
        rows = [row for row in self.batch.rows if row.recipient.address in set(addresses)]
        now_ms = self.clock.now_ms()

        async def mark() -> None:
            await self.ports.queue.mark(rows, at_ms=now_ms, until_ms=now_ms + IN_DOUBT_MS)

        await _until_stored(mark, tries=MARK_TRIES)
        self.marked |= set(addresses)


def _forward_path(row: RelayRow) -> ForwardPath:
    """The forward-path; with ORCPT, a bounce names this address also behind a forwarder."""
    recipient = row.recipient
    kind = "rfc822" if recipient.address.isascii() else "utf-8"
    return ForwardPath(
        address=recipient.address,
        notify=tuple(word.upper() for word in recipient.notify),
        orcpt=recipient.original or f"{kind};{recipient.address}",  # RFC 3461 §5.2.1
    )


def _local(row: RelayRow, kind: str, status: str, text: str) -> RecipientOutcome:
    """An outcome without a connection."""
    return RecipientOutcome(
        address=row.recipient.address,
        kind=cast("Literal['deferred', 'failed']", kind),
        phase="local",
        status=status,
        text=text,
    )


async def _until_stored(work: Callable[[], Awaitable[T]], *, tries: int = 0) -> T:
    """The result of `work`, repeated while a store does not answer; `tries` 0: without an end."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return await work()
        except Transient as error:
            if attempt == tries:
                raise
            log.warning("relay waits: %s", error)
            await asyncio.sleep(STORE_RETRY_S)
