"""Quarantine: list, show, release and discard mail that was accepted and must not be delivered.

A released mail is published as mail.scanned, after the scanners, with its verdict and the name of
the operator who released it; its hops keep that name. The release is written into the row before it
is published. A row with an unconfirmed release is published again, by the next release command or
by the role custody. Message ids are derived from the mail id, so releasing twice delivers once.
The row of a discarded mail keeps the verdict and who discarded it; the sweep deletes the content.
Release and discard may be cut short at any line and repeated.
"""

from mail.errors import NotFound, Refused
from mail.ports import Publisher, Quarantine
from operations.ports import ReleasePorts
from schemas.events.mail import MailScanned
from schemas.holders import QUARANTINE_HOLDER
from schemas.ids import MailId
from schemas.mail import Hop
from schemas.quarantine import Quarantined

INFECTED = "infected"
PAGE_MAX = 500  # rows read at once
UNCONFIRMED_MS = 60_000  # a release younger than this is left to the command that made it
PENDING_MAX = 100  # releases that custody publishes at once


async def list_quarantined(
    quarantine: Quarantine, *, limit: int, reason: str | None = None
) -> list[Quarantined]:
    """Return the newest `limit` mails in quarantine, newest first; with `reason`, only those."""
    rows: list[Quarantined] = []
    while len(rows) < limit:
        page_size = min(limit - len(rows), PAGE_MAX)
        before = rows[-1].mail_id if rows else None
        page = await quarantine.list(limit=page_size, before=before, reason=reason)
        rows += page
        if len(page) < page_size:
            break
    return rows


async def get_quarantined(mail_id: MailId, quarantine: Quarantine) -> Quarantined:
    """Return the row of a mail. Raises NotFound: no such mail, or it was discarded."""
    row = await quarantine.get(mail_id)
    if row is None or row.deleted_at_ms is not None:
        raise NotFound(f"mail {mail_id} is not in quarantine: see postriver trace {mail_id}")
    return row


async def release(
    mail_id: MailId,
    ports: ReleasePorts,
    publisher: Publisher,
    *,
    by: str,
    at_ms: int,
    force: bool,
    worker: str,
) -> Quarantined:
    """Deliver the mail against its verdict; return the row as it was before.

    `released_at_ms` of the result is set if the mail had been released already. `force` releases an
    infected mail. `worker`: the name of this process, for the hop.
    Raises NotFound; Refused: infected without `force`, or the content is gone; BrokerUnavailable:
    the release is recorded, and custody publishes it.
    """
    row = await get_quarantined(mail_id, ports.quarantine)
    if row.reason == INFECTED and not force:
        raise Refused(f"mail {mail_id} is infected ({row.verdict.virus}): --force if you are sure")
    if await ports.contents.missing([row.content.ref]):
        raise Refused(f"mail {mail_id} cannot be delivered: its content is gone")
    await ports.quarantine.release(mail_id, by=by, at_ms=at_ms)
    await _publish(row, ports, publisher, by=by, at_ms=at_ms, worker=worker)
    return row


async def publish_pending(
    ports: ReleasePorts, publisher: Publisher, *, now_ms: int, worker: str
) -> int:
    """Publish releases whose command was cut short; return their number. Raises Transient."""
    pending = [
        row
        for row in await ports.quarantine.list_unpublished(limit=PENDING_MAX)
        if row.released_at_ms is not None and not 0 <= now_ms - row.released_at_ms < UNCONFIRMED_MS
    ]
    for row in pending:
        at_ms = row.released_at_ms or now_ms
        await _publish(row, ports, publisher, by=row.released_by, at_ms=at_ms, worker=worker)
    return len(pending)


async def discard(mail_id: MailId, ports: ReleasePorts, *, by: str, at_ms: int) -> None:
    """Delete the mail from quarantine without delivery. Raises NotFound.

    The row is marked last: until then the command can be repeated. The ledger is reopened before
    and after, since custody may look at the mail in between.
    """
    await get_quarantined(mail_id, ports.quarantine)
    await ports.ledger.reopen([mail_id], at_ms=at_ms)
    await ports.holders.release(mail_id, QUARANTINE_HOLDER)
    await ports.quarantine.delete(mail_id, by=by, at_ms=at_ms)
    await ports.ledger.reopen([mail_id], at_ms=at_ms)


async def _publish(
    row: Quarantined, ports: ReleasePorts, publisher: Publisher, *, by: str, at_ms: int, worker: str
) -> None:
    """Publish a row marked `unpublished`; the mark is removed once the broker acknowledged."""
    await ports.ledger.reopen([row.mail_id], at_ms=at_ms)
    await publisher.publish(_released_event(row, by=by, at_ms=at_ms, worker=worker))
    await ports.quarantine.mark_published(row.mail_id)


def _released_event(row: Quarantined, *, by: str, at_ms: int, worker: str) -> MailScanned:
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
        trace_size_bytes=0,  # no longer known; no stage after the scanners reads it
        received_at_ms=row.received_at_ms,
        head=row.head,
        verdict=row.verdict,
        hops=(*row.hops, hop),
        released_by=by,
        scanned_at_ms=at_ms,
        outgoing=row.outgoing,
    )
