"""Ports of the operators' use cases."""

from dataclasses import dataclass

from mail.ports import (
    ContentStore,
    DeadLetters,
    Directory,
    Holders,
    InFlightMails,
    Ledger,
    MailStore,
    Quarantine,
    Resolver,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPorts:
    """Ports of audit."""

    ledger: Ledger
    store: MailStore
    quarantine: Quarantine
    contents: ContentStore
    letters: DeadLetters
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePorts:
    """Ports of trace."""

    ledger: Ledger
    store: MailStore
    quarantine: Quarantine
    directory: Directory
    resolver: Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePorts:
    """Ports of release and discard."""

    quarantine: Quarantine
    contents: ContentStore
    holders: Holders
    ledger: Ledger
