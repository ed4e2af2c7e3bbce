"""release, discard: what an operator does with a mail in quarantine.

A released mail enters the river again behind the scanners, as mail.scanned with the verdict that it
had and the name of who overrode it, which stays in its hops. Message ids are derived, so releasing
twice delivers once. The row is marked after the broker took the mail: cut short in between, it is
simply released again.
A deleted mail leaves its end and its verdict; its content is left to the sweep.
Refused: infected without force, or no content to deliver. NotFound: no such mail, or deleted.
"""

from agents.ports import ReleasePorts
from mail.errors import NotFound, Refused
from mail.ports import Publisher
from schemas.events import MailScanned
from schemas.mail import Hop
from schemas.records import QUARANTINE_HOLDER, Quarantined

INFECTED = "infected"


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
    """
    row = await _row(mail_id, ports)
    if row.reason == INFECTED and not force:
        raise Refused(f"mail {mail_id} is infected ({row.verdict.virus}): --force if you are sure")
    if await ports.contents.absent([row.content.ref]):
        raise Refused(f"mail {mail_id} cannot be delivered: its content is gone")
    await river.publish(_overridden(row, by=by, at_ms=at_ms, worker=worker))
    await ports.quarantine.release(mail_id, by=by, at_ms=at_ms)
    await ports.ledger.reopen([mail_id], at_ms=at_ms)
    return row


async def discard(mail_id: str, ports: ReleasePorts, *, by: str, at_ms: int) -> None:
    """The row goes last: as long as it is there, the command can be repeated."""
    await _row(mail_id, ports)
    await ports.ledger.reopen([mail_id], at_ms=at_ms)
    await ports.holders.release(mail_id, QUARANTINE_HOLDER)
    await ports.quarantine.delete(mail_id, by=by, at_ms=at_ms)


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
    )
