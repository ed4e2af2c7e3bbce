"""audit: prove by mail id where every accepted mail of a span of time is.

The ledger gives the list of accepted mails and nothing else: the states it keeps are not trusted.
Mailboxes, quarantine, dead letters and the log are read. The content of a mail that can still be
read, or that waits for an operator, must exist. A delivery that is found nowhere is searched three
times in all, since mail moves during the audit.
A store or the broker does not answer: Transient, and nothing is proven. Reads only.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from mail.ledger.locator import MailLocation, locate
from operations.ports import AuditPorts
from schemas.ledger import MISSING, OPEN, PARKED, AuditReport, LedgerEntry, MissingDelivery
from streams.config import Bootstrap
from streams.readers.lag import lags
from streams.topology import CUSTODY, DEAD_LETTERS, GROUP_PREFIX, RECEIVED

PAGE = 500  # ledger entries read at once
TRIES = 3
PAUSE_S = 1.0  # between tries
ENTRY_WAIT_S = 15.0


@dataclass(slots=True)
class _Tally:
    """The result so far. `open`: mails to search again, each with its absent contents."""

    mails: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    open: list[tuple[MailLocation, frozenset[str]]] = field(default_factory=list)

    def add(self, locations: Sequence[MailLocation], absent: frozenset[str]) -> None:
        for location in locations:
            states = location.states().values()
            absent_refs = absent.intersection(_refs(location))
            if absent_refs or OPEN in states:
                self.open.append((location, absent_refs))
            else:
                self.counts.update(states)


async def audit(
    ports: AuditPorts, *, since_ms: int, until_ms: int, pause_s: float = PAUSE_S
) -> AuditReport:
    """Account for the mails accepted in [since, until). Raises Transient."""
    tally = _Tally()
    async for entries in _pages(ports, since_ms, until_ms):
        tally.mails += len(entries)
        await _read_stores(ports, entries, tally)
    for attempt in range(TRIES):
        if not tally.open:
            break
        if attempt:
            await asyncio.sleep(pause_s)
        await _search(ports, since_ms, tally)
    lost = [
        delivery
        for location, absent_refs in tally.open
        for delivery in _missing(location, absent_refs, tally.counts)
    ]
    return AuditReport(
        since_ms=since_ms,
        until_ms=until_ms,
        mails=tally.mails,
        deliveries=tally.counts.total(),
        counts=dict(tally.counts),
        lost=tuple(lost),
    )


async def not_entered(bootstrap: Bootstrap) -> int:
    """Return how many mails are in the log and not yet in the ledger.

    Waits up to ENTRY_WAIT_S for 0. Raises BrokerUnavailable.
    """
    group = GROUP_PREFIX + CUSTODY
    deadline_s = asyncio.get_running_loop().time() + ENTRY_WAIT_S
    while True:
        lag = (await lags(bootstrap, {group: [RECEIVED, DEAD_LETTERS]}))[group][RECEIVED]
        if not lag or asyncio.get_running_loop().time() > deadline_s:
            return lag
        await asyncio.sleep(0.5)


async def _pages(
    ports: AuditPorts, since_ms: int, until_ms: int
) -> AsyncIterator[list[LedgerEntry]]:
    after = None
    while page := await ports.ledger.accepted(
        since_ms=since_ms, until_ms=until_ms, limit=PAGE, after=after
    ):
        yield page
        after = (page[-1].accepted_at_ms, page[-1].mail_id)


async def _read_stores(ports: AuditPorts, entries: Sequence[LedgerEntry], tally: _Tally) -> None:
    locations = await locate(entries, ports.store, ports.quarantine)
    tally.add(locations, await _absent(ports, locations))


async def _search(ports: AuditPorts, since_ms: int, tally: _Tally) -> None:
    """Search the open mails in the log, the dead letters and the stores.

    This is the order in which mail moves: a mail that moves during the search is met later.
    """
    entries = [location.entry for location, _ in tally.open]
    tally.open = []
    waiting = await ports.in_flight.waiting({entry.mail_id for entry in entries})
    letters = await ports.letters.since(since_ms)
    for first in range(0, len(entries), PAGE):
        page = entries[first : first + PAGE]
        ids = {entry.mail_id for entry in page}
        of_page = [letter for letter in letters if letter.mail_id in ids]
        locations = await locate(
            page, ports.store, ports.quarantine, dead_letters=of_page, waiting=waiting
        )
        tally.add(locations, await _absent(ports, locations))


async def _absent(ports: AuditPorts, locations: Sequence[MailLocation]) -> frozenset[str]:
    refs = {ref for location in locations for ref in _refs(location)}
    return frozenset(await ports.contents.missing(refs))


def _refs(location: MailLocation) -> set[str]:
    """Contents that must exist: of the stores, and of dead letters that wait."""
    parked = (letter.ref for letter in location.dead_letters if letter.state == PARKED)
    return {*location.refs(), *filter(None, parked)}


def _missing(
    location: MailLocation, absent_refs: frozenset[str], counts: Counter[str]
) -> list[MissingDelivery]:
    """Return the missing deliveries of one mail: its open deliveries, or all without the content.

    The other deliveries are added to `counts` by their state.
    """
    why = (
        f"content {min(absent_refs)} is gone"
        if absent_refs
        else "no store, topic or dead letter has it"
    )
    missing = []
    for user_id, state in location.states().items():
        is_missing = bool(absent_refs) or state == OPEN
        counts[MISSING if is_missing else state] += 1
        if is_missing:
            entry = location.entry
            missing.append(
                MissingDelivery(
                    mail_id=entry.mail_id,
                    user_id=user_id,
                    accepted_at_ms=entry.accepted_at_ms,
                    why=why,
                )
            )
    return missing
