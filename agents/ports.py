"""What each role's agents are given. cli/ puts the adapters in."""

from dataclasses import dataclass, field

from agents.content_access import Budget, Texts
from agents.scanner_isolation import Engine
from agents.suspended_mailboxes import SetAside
from mail.clock import DAY_MS
from mail.clock_guard import ClockGuard
from mail.mailbox.bulk_commands import CHUNK_MAX
from mail.ports import (
    ContentStore,
    ContentSweep,
    DeadLetters,
    Holders,
    InFlight,
    Ledger,
    MailStore,
    Parser,
    Quarantine,
    SearchIndex,
    SpamScanner,
    Unread,
    VirusScanner,
)
from mail.spam_policy import SpamPolicy
from parsing.in_process import ParserHere


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePorts:
    """Of validate and route."""

    contents: ContentStore
    holders: Holders
    quarantine: Quarantine
    parser: Parser = field(default_factory=ParserHere)
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPorts:
    """Of scan. Each engine's turn-taking lives as long as the process."""

    contents: ContentStore
    virus: VirusScanner
    spam: SpamScanner
    quarantine: Quarantine
    holders: Holders
    parser: Parser = field(default_factory=ParserHere)
    policy: SpamPolicy = field(default_factory=SpamPolicy)
    budget: Budget = field(default_factory=Budget)
    virus_engine: Engine = field(default_factory=Engine)
    spam_engine: Engine = field(default_factory=Engine)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxPorts:
    """Of mailbox. `holders`: those that a destroyed message leaves. `contents`: to rebuild rows."""

    store: MailStore
    unread: Unread
    holders: Holders
    contents: ContentStore
    aside: SetAside
    parser: Parser = field(default_factory=ParserHere)
    budget: Budget = field(default_factory=Budget)
    mend_max_messages: int = 200_000  # of a mailbox that is rebuilt in a turn, within a minute
    chunk_max: int = CHUNK_MAX  # messages that one chunk of an order to a folder changes
    feed_ms: int = 30 * DAY_MS  # how long the journal's entries stay, at least
    clock: ClockGuard = field(default_factory=ClockGuard)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPorts:
    """Of index. `texts` keeps the last mails' text, for mails with many recipients."""

    store: MailStore
    contents: ContentStore
    search: SearchIndex
    parser: Parser = field(default_factory=ParserHere)
    budget: Budget = field(default_factory=Budget)
    texts: Texts = field(default_factory=Texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyPorts:
    """Of custody."""

    ledger: Ledger
    store: MailStore
    quarantine: Quarantine
    holders: Holders
    in_flight: InFlight


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftoverPorts:
    """Of leftovers."""

    holders: Holders
    quarantine: Quarantine
    letters: DeadLetters
    ledger: Ledger
    in_flight: InFlight


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPorts:
    """Of sweep."""

    contents: ContentSweep
    holders: Holders
    quarantine: Quarantine
    in_flight: InFlight
