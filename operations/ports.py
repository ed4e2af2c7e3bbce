"""Ports of the operators' use cases."""

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
class TracePorts:
    """Ports of trace."""

    ledger: LedgerReader
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
