"""The ports that the API needs; cli passes in the adapters."""

from dataclasses import dataclass, field

from api.http.image_proxy import ImageProxy
from api.http.one_click import OneClickClient
from edge.request_tokens import MakeTokens, local_tokens
from mail.ports import (
    Addresses,
    AppPasswords,
    Attempts,
    ContentStore,
    Domains,
    Holders,
    IntakeGate,
    LiveEvents,
    MailStore,
    OutlineStore,
    Parser,
    Publisher,
    SearchIndex,
    Sessions,
    Settings,
    SignIns,
    Uploads,
    Users,
    VirusScanner,
)
from mail.ports.submissions import Submissions
from operations.admin_ports import AdminPorts
from parsing.in_process import InProcessParser


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPorts:
    """The API reads stores, writes sessions and login records, and publishes mailbox commands.

    For deposits it asks the gate and the virus scanner, and writes contents, outlines and holders.
    """

    store: MailStore
    contents: ContentStore
    outlines: OutlineStore
    submissions: Submissions
    holders: Holders
    uploads: Uploads
    gate: IntakeGate
    virus: VirusScanner
    domains: Domains
    users: Users
    settings: Settings
    addresses: Addresses
    app_passwords: AppPasswords
    sessions: Sessions
    sign_ins: SignIns
    attempts: Attempts
    search: SearchIndex
    publisher: Publisher
    feed: LiveEvents
    make_tokens: MakeTokens = local_tokens  # for requests
    parser: Parser = field(default_factory=InProcessParser)
    admin: AdminPorts | None = None  # of the admin API; None: it is off
    one_click: OneClickClient | None = None  # None: requests to other servers are off
    images: ImageProxy | None = None  # None: remote images are not loaded
    deposit_parser: Parser = field(default_factory=InProcessParser)  # readers do not wait for it
