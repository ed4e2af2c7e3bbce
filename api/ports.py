"""The ports that the API needs; cli passes in the adapters."""

from dataclasses import dataclass, field

from mail.ports import (
    Addresses,
    AppPasswords,
    Attempts,
    ContentStore,
    Domains,
    LiveEvents,
    MailStore,
    Parser,
    Publisher,
    SearchIndex,
    Sessions,
    SignIns,
    Users,
)
from parsing.in_process import InProcessParser


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPorts:
    """The API reads stores, writes sessions and login records, and publishes mailbox commands."""

    store: MailStore
    contents: ContentStore
    domains: Domains
    users: Users
    addresses: Addresses
    app_passwords: AppPasswords
    sessions: Sessions
    sign_ins: SignIns
    attempts: Attempts
    search: SearchIndex
    publisher: Publisher
    feed: LiveEvents
    parser: Parser = field(default_factory=InProcessParser)
