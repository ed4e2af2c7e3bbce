"""Ports of the operators' use cases."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from mail.ports import (
    ContentStore,
    ContentSweep,
    DeadLetters,
    Holders,
    InFlightMails,
    LedgerReader,
    LedgerWriter,
    MailStore,
    OutlineStore,
    Parser,
    Quarantine,
    Resolver,
    Users,
)
from mail.ports.submissions import Submissions
from schemas.ids import MailId


async def _none_queued(_mail_id: MailId) -> Collection[str]:
    """The relay queue of an installation that does not relay."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPorts:
    """Ports of audit."""

    ledger: LedgerReader
    store: MailStore
    quarantine: Quarantine
    contents: ContentStore
    letters: DeadLetters
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionAuditPorts:
    """Ports of the audit of submissions.

    `queued` returns the addresses for which the relay queue has a mail.
    """

    submissions: Submissions
    store: MailStore
    in_flight: InFlightMails
    queued: Callable[[MailId], Awaitable[Collection[str]]] = _none_queued


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePorts:
    """Ports of trace."""

    ledger: LedgerReader
    submissions: Submissions
    store: MailStore
    quarantine: Quarantine
    users: Users
    resolver: Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePorts:
    """Ports of release and discard."""

    quarantine: Quarantine
    contents: ContentStore
    holders: Holders
    ledger: LedgerWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlinePorts:
    """Ports of the rebuild of outlines. `walk`: of all contents."""

    store: MailStore
    contents: ContentStore
    walk: ContentSweep
    outlines: OutlineStore
    parser: Parser
