"""What the domain needs of the world: promises and failures, no technology.

Every adapter of a port passes the port's one contract suite in tests/contracts/. A method raises
StoreUnavailable (ScannerUnavailable, BrokerUnavailable) when its engine does not answer; the call
may then be repeated as it was. Every write is durable when it returns, and idempotent by its id.
"""

from mail.ports.attempts import CLOCK_SKEW_MS, Attempts
from mail.ports.contents import ContentStore, ContentSweep, Holders, Quarantine
from mail.ports.custody import DeadLetters, InFlight, Ledger
from mail.ports.directory import SESSIONS_KEPT, SIGN_INS_KEPT, Directory, Resolver, Room
from mail.ports.mailboxes import Commit, MailStore
from mail.ports.parsing import Parser
from mail.ports.river import Feed, Gate, Publisher, ScanLog, ScanProgress, Unread, Work
from mail.ports.scanners import SpamReport, SpamScanner, VirusReport, VirusScanner
from mail.ports.search import FOUND_MAX, Places, SearchIndex

__all__ = [
    "CLOCK_SKEW_MS",
    "FOUND_MAX",
    "SESSIONS_KEPT",
    "SIGN_INS_KEPT",
    "Attempts",
    "Commit",
    "ContentStore",
    "ContentSweep",
    "DeadLetters",
    "Directory",
    "Feed",
    "Gate",
    "Holders",
    "InFlight",
    "Ledger",
    "MailStore",
    "Parser",
    "Places",
    "Publisher",
    "Quarantine",
    "Resolver",
    "Room",
    "ScanLog",
    "ScanProgress",
    "SearchIndex",
    "SpamReport",
    "SpamScanner",
    "Unread",
    "VirusReport",
    "VirusScanner",
    "Work",
]
