"""The ports that the POP3 server needs; cli passes in the adapters."""

from dataclasses import dataclass

from mail.ports import Attempts, ContentStore, LiveEvents, MailStore, Publisher


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop3Ports:
    """The server reads mail store and contents, and publishes commands to mailboxes."""

    store: MailStore
    contents: ContentStore
    publisher: Publisher
    feed: LiveEvents
    attempts: Attempts  # for the leases of maildrops
