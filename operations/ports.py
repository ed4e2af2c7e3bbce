"""Ports of the operators' use cases."""

from dataclasses import dataclass

from mail.ports import (
    ContentStore,
    DeadLetters,
    Holders,
    InFlightMails,
    LedgerReader,
    LedgerWriter,
    MailStore,
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
