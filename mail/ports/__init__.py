"""What the domain needs of the world: promises and failures, no technology.

Every adapter of a port passes the port's one contract suite in tests/contracts/. A method raises
StoreUnavailable (ScannerUnavailable, BrokerUnavailable) when its engine does not answer; the call
may then be repeated as it was. Every write is durable when it returns, and idempotent by its id.
May import: mail.query, mail.mime, the base modules of mail, schemas.
"""

from mail.ports.attempts import CLOCK_SKEW_MS, Attempts
from mail.ports.content_store import ContentStore, ContentSweep, Holders, Quarantine
from mail.ports.directory import SESSIONS_KEPT, SIGN_INS_KEPT, Directory, Resolver, Room
from mail.ports.ledger import DeadLetters, InFlight, Ledger
from mail.ports.mail_store import Commit, MailStore
from mail.ports.parser import Parser
from mail.ports.scanners import SpamReport, SpamScanner, VirusReport, VirusScanner
from mail.ports.search_index import FOUND_MAX, Places, SearchIndex
from mail.ports.streams import Feed, Gate, Publisher, ScanLog, ScanProgress, Unread, Work

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
