"""What the domain needs of the world: promises and failures, no technology.

Every adapter of a port passes the port's one contract suite in tests/contracts/. A method raises
StoreUnavailable (ScannerUnavailable, BrokerUnavailable) when its engine does not answer; the call
may then be repeated as it was. Every write is durable when it returns, and idempotent by its id.
May import: mail.query, mail.mime, the base modules of mail, schemas.
"""

from mail.ports.app_passwords import APP_PASSWORDS_MAX, AppPasswords, TooManyAppPasswords
from mail.ports.content_store import (
    ContentPacking,
    ContentStore,
    ContentSweep,
    Holders,
    Quarantine,
)
from mail.ports.directory import Addresses, Directory, Domains, QuotaCheck, Resolver, Users
from mail.ports.ledger import (
    DeadLetters,
    InFlightMails,
    Ledger,
    LedgerReader,
    LedgerWriter,
    OpenMails,
)
from mail.ports.mail_store import (
    Commit,
    ConversationLists,
    FolderViews,
    MailboxHistory,
    MailboxReader,
    MailboxWriter,
    MailLookup,
    MailStore,
)
from mail.ports.mail_transport import MailTransport
from mail.ports.mx_resolver import MxResolver
from mail.ports.operator_acts import OperatorActs
from mail.ports.outline_store import OutlineStore
from mail.ports.owner_views import OwnerViews
from mail.ports.parser import Parser
from mail.ports.scanners import SpamReport, SpamScanner, VirusReport, VirusScanner
from mail.ports.search_index import (
    COUNTED_MAX,
    MATCHES_MAX,
    IndexMatches,
    SearchIndex,
    SearchReader,
    SearchWriter,
)
from mail.ports.sessions import SESSIONS_KEPT, SIGN_INS_KEPT, Sessions, SignIns
from mail.ports.settings import Settings
from mail.ports.shared_limits import (
    CLOCK_SKEW_MS,
    REFILL_S,
    Attempts,
    RequestTokens,
    TokensTaken,
)
from mail.ports.streams import (
    Attempt,
    IntakeGate,
    LiveEvents,
    MailboxStates,
    Publisher,
    ScanLog,
    ScanProgress,
)
from mail.ports.uploads import TooManyUploads, Uploads

__all__ = [
    "APP_PASSWORDS_MAX",
    "CLOCK_SKEW_MS",
    "COUNTED_MAX",
    "MATCHES_MAX",
    "REFILL_S",
    "SESSIONS_KEPT",
    "SIGN_INS_KEPT",
    "Addresses",
    "AppPasswords",
    "Attempt",
    "Attempts",
    "Commit",
    "ContentPacking",
    "ContentStore",
    "ContentSweep",
    "ConversationLists",
    "DeadLetters",
    "Directory",
    "Domains",
    "FolderViews",
    "Holders",
    "InFlightMails",
    "IndexMatches",
    "IntakeGate",
    "Ledger",
    "LedgerReader",
    "LedgerWriter",
    "LiveEvents",
    "MailLookup",
    "MailStore",
    "MailTransport",
    "MailboxHistory",
    "MailboxReader",
    "MailboxStates",
    "MailboxWriter",
    "MxResolver",
    "OpenMails",
    "OperatorActs",
    "OutlineStore",
    "OwnerViews",
    "Parser",
    "Publisher",
    "Quarantine",
    "QuotaCheck",
    "RequestTokens",
    "Resolver",
    "ScanLog",
    "ScanProgress",
    "SearchIndex",
    "SearchReader",
    "SearchWriter",
    "Sessions",
    "Settings",
    "SignIns",
    "SpamReport",
    "SpamScanner",
    "TokensTaken",
    "TooManyAppPasswords",
    "TooManyUploads",
    "Uploads",
    "Users",
    "VirusReport",
    "VirusScanner",
]
