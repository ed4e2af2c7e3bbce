"""release, discard: what an operator does with a mail in quarantine.

A released mail enters the river again behind the scanners, as mail.scanned with the verdict that it
had and the name of who overrode it, which stays in its hops. The release is written into the row
before it is published; a row that says so and was not confirmed is published again, by the next
release or by custody. Message ids are derived, so releasing twice delivers once.
A deleted mail leaves its end and its verdict; its content is left to the sweep.
Both may be cut short at any line and repeated.
Refused: infected without force, or no content to deliver. NotFound: no such mail, or deleted.
"""

from mail.errors import NotFound, Refused
from mail.ports import Publisher
from operations.ports import ReleasePorts
from schemas.events.mail import MailScanned
from schemas.holders import QUARANTINE_HOLDER
from schemas.mail import Hop
from schemas.quarantine import Quarantined

INFECTED = "infected"
UNCONFIRMED_MS = 60_000  # so young a release is left to the command that makes it
PENDING_MAX = 100  # releases that custody publishes at once


async def release(
    mail_id: str,
    ports: ReleasePorts,
    river: Publisher,
    *,
    by: str,
    at_ms: int,
    force: bool,
    worker: str,
) -> Quarantined:
    """The row as it was before: `released_at_ms` tells whether it had been released already.

    `force`: even if it is infected. `worker`: where this runs, for the hop.
    BrokerUnavailable: the release stands, and custody publishes it.
    """
    row = await _row(mail_id, ports)
    if row.reason == INFECTED and not force:
        raise Refused(f"mail {mail_id} is infected ({row.verdict.virus}): --force if you are sure")
    if await ports.contents.absent([row.content.ref]):
        raise Refused(f"mail {mail_id} cannot be delivered: its content is gone")
    await ports.quarantine.release(mail_id, by=by, at_ms=at_ms)
    await _publish(row, ports, river, by=by, at_ms=at_ms, worker=worker)
    return row


async def publish_pending(
    ports: ReleasePorts, river: Publisher, *, now_ms: int, worker: str
) -> int:
    """Publish releases whose command was cut short; how many. Transient."""
    pending = [
        row
        for row in await ports.quarantine.unpublished(limit=PENDING_MAX)
        if row.released_at_ms is not None and not 0 <= now_ms - row.released_at_ms < UNCONFIRMED_MS
    ]
    for row in pending:
        at_ms = row.released_at_ms or now_ms
        await _publish(row, ports, river, by=row.released_by, at_ms=at_ms, worker=worker)
    return len(pending)


async def discard(mail_id: str, ports: ReleasePorts, *, by: str, at_ms: int) -> None:
    """The row goes last: as long as it is there, the command can be repeated.

    The ledger is reopened before and after: custody may look at the mail in between.
    """
    await _row(mail_id, ports)
    await ports.ledger.reopen([mail_id], at_ms=at_ms)
    await ports.holders.release(mail_id, QUARANTINE_HOLDER)
    await ports.quarantine.delete(mail_id, by=by, at_ms=at_ms)
    await ports.ledger.reopen([mail_id], at_ms=at_ms)


async def _publish(
    row: Quarantined, ports: ReleasePorts, river: Publisher, *, by: str, at_ms: int, worker: str
) -> None:
    """Of a row that says `unpublished`; it says so until the broker has acknowledged."""
    await ports.ledger.reopen([row.mail_id], at_ms=at_ms)
    await river.publish(_overridden(row, by=by, at_ms=at_ms, worker=worker))
    await ports.quarantine.published(row.mail_id)


async def _row(mail_id: str, ports: ReleasePorts) -> Quarantined:
    row = await ports.quarantine.get(mail_id)
    if row is None or row.deleted_at_ms is not None:
        raise NotFound(f"mail {mail_id} is not in quarantine: see postriver trace {mail_id}")
    return row


def _overridden(row: Quarantined, *, by: str, at_ms: int, worker: str) -> MailScanned:
    hop = Hop(
        stage="release",
        started_at_ms=at_ms,
        took_ms=0.0,
        verdict=f"released by {by}",
        attempt=1,
        worker=worker,
    )
    return MailScanned(
        mail_id=row.mail_id,
        envelope=row.envelope,
        content=row.content,
        trace_size_bytes=0,  # known no longer, and nobody behind the scanners asks
        received_at_ms=row.received_at_ms,
        head=row.head,
        verdict=row.verdict,
        hops=(*row.hops, hop),
        released_by=by,
        scanned_at_ms=at_ms,
    )
