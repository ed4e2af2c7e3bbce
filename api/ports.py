"""What the edge needs of the world."""

from dataclasses import dataclass, field

from mail.ports import (
    Attempts,
    ContentStore,
    Directory,
    LiveEvents,
    MailStore,
    Parser,
    Publisher,
    SearchIndex,
)
from parsing.in_process import InProcessParser


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPorts:
    """The edge reads stores, and writes only sessions and commands: one writer per mailbox."""

    store: MailStore
    contents: ContentStore
    directory: Directory
    attempts: Attempts
    search: SearchIndex
    publisher: Publisher
    feed: LiveEvents
    parser: Parser = field(default_factory=InProcessParser)
