"""What each role's agents are given. cli/ puts the adapters in."""

from dataclasses import dataclass, field

from agents.content_access import MemoryBudget, TextCache
from agents.scanner_isolation import ScannerIsolation
from agents.suspended_mailboxes import SuspendedMailboxes
from mail.clock import DAY_MS
from mail.clock_guard import ClockGuard
from mail.mailbox.bulk_commands import CHUNK_MAX
from mail.ports import (
    ContentStore,
    ContentSweep,
    DeadLetters,
    Holders,
    InFlightMails,
    Ledger,
    MailboxStates,
    MailStore,
    Parser,
    Quarantine,
    SearchIndex,
    SpamScanner,
    VirusScanner,
)
from mail.spam_policy import SpamPolicy
from parsing.in_process import InProcessParser


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePorts:
    """Of validate and route."""

    contents: ContentStore
    holders: Holders
    quarantine: Quarantine
    parser: Parser = field(default_factory=InProcessParser)
    budget: MemoryBudget = field(default_factory=MemoryBudget)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPorts:
    """Of scan. Each engine's turn-taking lives as long as the process."""

    contents: ContentStore
    virus: VirusScanner
    spam: SpamScanner
    quarantine: Quarantine
    holders: Holders
    parser: Parser = field(default_factory=InProcessParser)
    policy: SpamPolicy = field(default_factory=SpamPolicy)
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    virus_engine: ScannerIsolation = field(default_factory=ScannerIsolation)
    spam_engine: ScannerIsolation = field(default_factory=ScannerIsolation)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxPorts:
    """Of mailbox. `holders`: those that a destroyed message leaves. `contents`: to rebuild rows."""

    store: MailStore
    unread: MailboxStates
    holders: Holders
    contents: ContentStore
    aside: SuspendedMailboxes
    parser: Parser = field(default_factory=InProcessParser)
    budget: MemoryBudget = field(default_factory=MemoryBudget)
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
    parser: Parser = field(default_factory=InProcessParser)
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    texts: TextCache = field(default_factory=TextCache)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyPorts:
    """Of custody."""

    ledger: Ledger
    store: MailStore
    quarantine: Quarantine
    holders: Holders
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleHolderPorts:
    """Of leftovers."""

    holders: Holders
    quarantine: Quarantine
    letters: DeadLetters
    ledger: Ledger
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPorts:
    """Of sweep."""

    contents: ContentSweep
    holders: Holders
    quarantine: Quarantine
    in_flight: InFlightMails
