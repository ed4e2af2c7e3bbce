"""audit: proves where every mail of a span of time is, by id, from the stores and the log.

Reads the ledger for what was accepted, and nothing else of it: marks are not trusted. Content that
a message, a quarantine row or a letter needs must be there. What is found nowhere is looked for
again, three times in all, since mail moves while it is counted.
A store or the broker away: Transient, nothing is proven. Reads only.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from mail.ledger.locator import MailLocation, look
from operations.ports import AuditPorts
from schemas.ledger import MISSING, OPEN, PARKED, AuditReport, LedgerEntry, MissingDelivery

PAGE = 500
TRIES = 3
PAUSE_S = 1.0


@dataclass(slots=True)
class _Tally:
    """What is proven so far."""

    mails: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    open: list[tuple[MailLocation, frozenset[str]]] = field(
        default_factory=list
    )  # with absent contents

    def take(self, sights: Sequence[MailLocation], absent: frozenset[str]) -> None:
        for sight in sights:
            states = sight.states().values()
            gone = absent.intersection(_refs(sight))
            if gone or OPEN in states:
                self.open.append((sight, gone))
            else:
                self.counts.update(states)


async def audit(
    ports: AuditPorts, *, since_ms: int, until_ms: int, pause_s: float = PAUSE_S
) -> AuditReport:
    """The account of what was accepted in [since, until)."""
    tally = _Tally()
    async for entries in _pages(ports, since_ms, until_ms):
        tally.mails += len(entries)
        await _look(ports, entries, tally)
    for attempt in range(TRIES):
        if not tally.open:
            break
        if attempt:
            await asyncio.sleep(pause_s)
        await _search(ports, since_ms, tally)
    lost = [one for sight, gone in tally.open for one in _lost(sight, gone, tally.counts)]
    return AuditReport(
        since_ms=since_ms,
        until_ms=until_ms,
        mails=tally.mails,
        deliveries=tally.counts.total(),
        counts=dict(tally.counts),
        lost=tuple(lost),
    )


async def _pages(
    ports: AuditPorts, since_ms: int, until_ms: int
) -> AsyncIterator[list[LedgerEntry]]:
    after = None
    while page := await ports.ledger.accepted(
        since_ms=since_ms, until_ms=until_ms, limit=PAGE, after=after
    ):
        yield page
        after = (page[-1].accepted_at_ms, page[-1].mail_id)


async def _look(ports: AuditPorts, entries: Sequence[LedgerEntry], tally: _Tally) -> None:
    sights = await look(entries, ports.store, ports.quarantine)
    tally.take(sights, await _absent(ports, sights))


async def _search(ports: AuditPorts, since_ms: int, tally: _Tally) -> None:
    """In the direction in which mail moves: the log, dead letters, the stores."""
    entries = [sight.entry for sight, _ in tally.open]
    tally.open = []
    waiting = await ports.in_flight.waiting({entry.mail_id for entry in entries})
    letters = await ports.letters.since(since_ms)
    for first in range(0, len(entries), PAGE):
        some = entries[first : first + PAGE]
        ids = {entry.mail_id for entry in some}
        mine = [letter for letter in letters if letter.mail_id in ids]
        sights = await look(some, ports.store, ports.quarantine, letters=mine, waiting=waiting)
        tally.take(sights, await _absent(ports, sights))


async def _absent(ports: AuditPorts, sights: Sequence[MailLocation]) -> frozenset[str]:
    return frozenset(await ports.contents.absent({ref for one in sights for ref in _refs(one)}))


def _refs(sight: MailLocation) -> set[str]:
    return {*sight.refs(), *(one.ref for one in sight.letters if one.ref and one.state == PARKED)}


def _lost(sight: MailLocation, gone: frozenset[str], counts: Counter[str]) -> list[MissingDelivery]:
    """Owners who have it are counted as such, the others are lost; without content all are."""
    states = dict(sight.states())
    why = f"content {min(gone)} is gone" if gone else "no store, topic or dead letter has it"
    found = []
    for user_id, state in states.items():
        missing = bool(gone) or state == OPEN
        counts[MISSING if missing else state] += 1
        if missing:
            entry = sight.entry
            found.append(
                MissingDelivery(
                    mail_id=entry.mail_id,
                    user_id=user_id,
                    accepted_at_ms=entry.accepted_at_ms,
                    why=why,
                )
            )
    return found
