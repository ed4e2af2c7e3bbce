"""Ports of the operators' use cases."""

from dataclasses import dataclass

from mail.ports import (
    ContentStore,
    DeadLetters,
    Holders,
    InFlightMails,
    Ledger,
    MailStore,
    Quarantine,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPorts:
    """Of audit."""

    ledger: Ledger
    store: MailStore
    quarantine: Quarantine
    contents: ContentStore
    letters: DeadLetters
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePorts:
    """Of release and discard."""

    quarantine: Quarantine
    contents: ContentStore
    holders: Holders
    ledger: Ledger
