"""Ports of each stage and background job; cli/ passes the adapters in."""

import asyncio
from dataclasses import dataclass, field

from agents.content_access import MemoryBudget, TextCache
from agents.index_progress import IndexProgress
from agents.relaying.outbound import Outbound
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
    LedgerReader,
    MailboxStates,
    MailLookup,
    MailStore,
    MailTransport,
    OutlineStore,
    Parser,
    Publisher,
    Quarantine,
    QuotaCheck,
    Resolver,
    SearchIndex,
    SpamScanner,
    VirusScanner,
)
from mail.ports.relay_queue import RelayQueue
from mail.ports.submissions import Submissions
from mail.scanning.isolation import ScannerIsolation
from mail.sending.relay_setting import RelaySetting
from mail.sending.retry_schedule import RetrySchedule
from mail.sending.sender_check import SenderCheck
from mail.spam_policy import SpamPolicy, draft_policy, outgoing_policy
from parsing.in_process import InProcessParser
from schemas.submissions import Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePorts:
    """Ports of the stages validate and route."""

    contents: ContentStore
    outlines: OutlineStore
    holders: Holders
    quarantine: Quarantine
    outbound: Outbound | None = None  # None: no mail leaves for other domains
    parser: Parser = field(default_factory=InProcessParser)
    budget: MemoryBudget = field(default_factory=MemoryBudget)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPorts:
    """Ports of the stage scan. Each `ScannerIsolation` keeps its state until the process ends."""

    contents: ContentStore
    virus: VirusScanner
    spam: SpamScanner
    quarantine: Quarantine
    holders: Holders
    parser: Parser = field(default_factory=InProcessParser)
    policy: SpamPolicy = field(default_factory=SpamPolicy)
    outgoing_policy: SpamPolicy = field(default_factory=outgoing_policy)
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    virus_engine: ScannerIsolation = field(default_factory=ScannerIsolation)
    spam_engine: ScannerIsolation = field(default_factory=ScannerIsolation)

    def policy_for(self, outgoing: Outgoing | None) -> SpamPolicy:
        """The policy for a mail from the internet, for a mail that a user sends, or for a draft."""
        if outgoing is None:
            return self.policy
        return draft_policy(self.outgoing_policy) if outgoing.is_draft else self.outgoing_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxPorts:
    """Ports of the stage mailbox.

    `holders` releases contents of destroyed messages; `contents` is read to rebuild message rows.
    """

    store: MailStore
    states: MailboxStates
    holders: Holders
    contents: ContentStore
    suspended: SuspendedMailboxes
    parser: Parser = field(default_factory=InProcessParser)
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    repair_max_messages: int = 200_000  # largest mailbox that is rebuilt within one event (1 min)
    chunk_max: int = CHUNK_MAX  # messages that one chunk of a bulk command changes
    feed_ms: int = 30 * DAY_MS  # minimum age of a journal entry before it is folded
    clock: ClockGuard = field(default_factory=ClockGuard)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPorts:
    """Ports of the stage index. `texts` caches the text of mails with many recipients.

    `progress` counts changes until the next look at a mailbox (agents/index_progress.py).
    """

    store: MailStore
    contents: ContentStore
    search: SearchIndex
    parser: Parser = field(default_factory=InProcessParser)
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    texts: TextCache = field(default_factory=TextCache)
    progress: IndexProgress = field(default_factory=IndexProgress)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyPorts:
    """Ports of the custodian."""

    ledger: Ledger
    store: MailStore
    quarantine: Quarantine
    holders: Holders
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleHolderPorts:
    """Ports of the release of stale holders."""

    holders: Holders
    quarantine: Quarantine
    dead_letters: DeadLetters
    ledger: LedgerReader
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositHolderPorts:
    """Ports of the release of the first holders of deposits."""

    holders: Holders
    store: MailLookup
    dead_letters: DeadLetters
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPorts:
    """Ports of the content sweep, which deletes contents that no message needs."""

    contents: ContentSweep
    outlines: OutlineStore
    holders: Holders
    quarantine: Quarantine
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionPorts:
    """Ports of the stages submission and reject. `hostname` signs notices to senders."""

    submissions: Submissions
    contents: ContentStore
    holders: Holders
    hostname: str
    parser: Parser = field(default_factory=InProcessParser)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedPorts:
    """Ports of the stage validate_submitted."""

    contents: ContentStore
    outlines: OutlineStore
    resolver: Resolver
    senders: SenderCheck
    room: QuotaCheck
    relay: RelaySetting = field(default_factory=RelaySetting)
    parser: Parser = field(default_factory=InProcessParser)
    budget: MemoryBudget = field(default_factory=MemoryBudget)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledSubmissionsPorts:
    """Ports of the release of the contents of settled submissions."""

    submissions: Submissions
    quarantine: Quarantine
    holders: Holders
    in_flight: InFlightMails


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPorts:
    """Ports of the stage relay. `wake` is set when there may be due rows."""

    queue: RelayQueue
    wake: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayWorkPorts(RelayPorts):
    """Ports of the relay worker and its reports. `recorded` is set when there are new results."""

    contents: ContentStore
    holders: Holders
    senders: SenderCheck
    transport: MailTransport
    publisher: Publisher
    setting: RelaySetting
    schedule: RetrySchedule = field(default_factory=RetrySchedule)
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
