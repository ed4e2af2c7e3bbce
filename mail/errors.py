"""Errors, classified by the reaction of the worker (streams/worker/harness.py).

Transient: an engine does not answer, the mail is not the cause; hold until the engine answers.
Poison: this event can never be handled; park it unchanged in dead.letters.
Fatal: to continue could do harm; exit without acknowledging, and let the supervisor restart.
Any other error is unexpected: a limited number of attempts, then dead.letters.
"""

from schemas.events.mailbox_commands import BulkFolderCommand
from schemas.ids import UserId


class PostriverError(Exception):
    """Base class of all expected errors."""


class Transient(PostriverError):
    """`engine` does not answer: hold.

    `served_s`: monotonic time of the engine's last answer to a request of the same kind, given if
    the request itself may be the cause of the failure; 0 if not known.
    """

    def __init__(self, engine: str, detail: str = "", *, served_s: float = 0.0) -> None:
        super().__init__(f"{engine}: {detail}" if detail else engine)
        self.engine = engine
        self.served_s = served_s


class StoreUnavailable(Transient):
    """A store cannot be read or written now."""


class ScannerUnavailable(Transient):
    """A scanner does not answer, or reports that it cannot scan now."""


class ScannerSick(ScannerUnavailable):
    """A scanner lacks a resource of its own, such as disk space; the mail is not the cause."""


class ParserUnavailable(Transient):
    """The process that parses mail cannot be started; the mail is not the cause."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("parser", detail)


class BrokerUnavailable(Transient):
    """The broker did not acknowledge in time."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("kafka", detail)


class AssignmentInDoubt(BrokerUnavailable):
    """Another worker may have taken over the partitions: nothing of theirs may be written.

    An event that meets it is held until the broker answers a heartbeat, or the partition is lost.
    """


class Poison(PostriverError):
    """This event cannot be handled; other events can."""


class Undecodable(Poison):
    """A record whose value is not an event of its topic."""

    def __init__(self, topic: str, offset: int, cause: Exception) -> None:
        super().__init__(f"{topic}@{offset}: {cause}; parked unchanged in dead.letters")


class ContentMissing(Poison):
    """The content store has no content for a reference."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"content {ref} is not in the content store")


class EndsProcess(Poison):
    """Three processes ended while they handled this event, two of them without other events."""

    def __init__(self) -> None:
        super().__init__("three processes ended while they handled this event, two of them alone")


class SetAside(Poison):
    """An operator asked to park this event instead of handling it."""

    def __init__(self) -> None:
        super().__init__("set aside by an operator")


class Fatal(PostriverError):
    """Stop this process now, without acknowledging events."""


class JournalConflict(Fatal):
    """The journal has another command at this seq: a second writer is or was at work."""

    def __init__(self, user_id: UserId, seq: int) -> None:
        super().__init__(f"user {user_id} seq {seq} is journalled for another command")


class Refused(PostriverError):
    """A request that cannot be met; `detail` is written for its author."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class JournalTruncated(PostriverError):
    """Journal entries up to `seq` are folded: read the snapshot, then the entries after it.

    `follow_up`: the next chunk of a bulk command, if the requested entry had one.
    """

    def __init__(self, seq: int, follow_up: BulkFolderCommand | None = None) -> None:
        super().__init__(f"the journal up to seq {seq} is folded into a snapshot")
        self.seq = seq
        self.follow_up = follow_up


class BadQuery(Refused):
    """A search query with an error at `position`, a character index from 0."""

    def __init__(self, detail: str, position: int) -> None:
        super().__init__(detail)
        self.position = position


class BadAddress(Refused):
    """Not an addr-spec that this server accepts (RFC 5321 §4.1.2, RFC 6531)."""


class AlreadyExists(Refused):
    """A domain or an address exists already."""


class NotFound(Refused):
    """A domain, user or message does not exist."""


class Unscannable(PostriverError):
    """A healthy scanner cannot scan this content: a verdict, not an outage."""
