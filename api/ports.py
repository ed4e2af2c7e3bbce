"""What the edge needs of the world."""

from dataclasses import dataclass, field

from mail.ports import (
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
    """The edge reads stores, and writes only sessions and commands: one writer per mailbox."""

    store: MailStore
    contents: ContentStore
    domains: Domains
    users: Users
    sessions: Sessions
    sign_ins: SignIns
    attempts: Attempts
    search: SearchIndex
    publisher: Publisher
    feed: LiveEvents
    parser: Parser = field(default_factory=InProcessParser)
