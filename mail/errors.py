"""Failures by what is done about them. streams/worker/harness.py acts on the class.

Transient: nothing is wrong with the mail; hold until the engine answers.
Poison: this event can never be handled; parked unchanged in dead.letters.
Fatal: going on could do harm; the process exits without acknowledging, the supervisor restarts it.
Anything else is unexpected: bounded tries, then dead.letters.
"""

from schemas.events.mailbox_commands import BulkFolderCommand


class PostriverError(Exception):
    """Base of every failure that we name."""


class Transient(PostriverError):
    """`engine` does not answer: hold.

    `served_s`: when it last answered another request of the kind that failed (monotonic), where
    the failure may be due to what was asked for; 0 when that is not known.
    """

    def __init__(self, engine: str, detail: str = "", *, served_s: float = 0.0) -> None:
        super().__init__(f"{engine}: {detail}" if detail else engine)
        self.engine = engine
        self.served_s = served_s


class StoreUnavailable(Transient):
    """A store cannot be read or written now."""


class ScannerUnavailable(Transient):
    """A scanner does not answer, or answers that it cannot scan now."""


class ScannerSick(ScannerUnavailable):
    """A scanner says that it lacks something of its own, such as room: no mail is to blame."""


class ParserUnavailable(Transient):
    """The process that parses mail cannot be started; no mail is to blame."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("parser", detail)


class BrokerUnavailable(Transient):
    """The broker did not acknowledge in time."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("kafka", detail)


class Poison(PostriverError):
    """This event, and it alone, cannot be handled."""


class Undecodable(Poison):
    """Bytes on a topic that are not an event of that topic."""

    def __init__(self, topic: str, offset: int, cause: Exception) -> None:
        super().__init__(f"{topic}@{offset}: {cause}; parked unchanged in dead.letters")


class ContentMissing(Poison):
    """A content reference leads nowhere."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"content {ref} is not in the content store")


class EndsProcess(Poison):
    """Processes ended while they handled this event and nothing else."""

    def __init__(self) -> None:
        super().__init__("three processes ended while they handled this event, two of them alone")


class SetAside(Poison):
    """An operator does not want this event handled."""

    def __init__(self) -> None:
        super().__init__("set aside by an operator")


class Fatal(PostriverError):
    """Stop this process now, acknowledge nothing."""


class JournalConflict(Fatal):
    """The journal holds another command at this seq: a second writer is or was at work."""

    def __init__(self, user_id: str, seq: int) -> None:
        super().__init__(f"user {user_id} seq {seq} is journalled for another command")


class Refused(PostriverError):
    """A request that cannot be met as asked; `detail` is fit for the person who asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class JournalTruncated(PostriverError):
    """Entries up to `seq` are folded: start from the snapshot, then read on after it.

    `follow_up`: the next chunk of an order to a folder, if the entry asked for had one.
    """

    def __init__(self, seq: int, follow_up: BulkFolderCommand | None = None) -> None:
        super().__init__(f"the journal up to seq {seq} is folded into a snapshot")
        self.seq = seq
        self.follow_up = follow_up


class BadQuery(Refused):
    """A search that cannot be read; `position` is a character index into it, from 0."""

    def __init__(self, detail: str, position: int) -> None:
        super().__init__(detail)
        self.position = position


class BadAddress(Refused):
    """Not an addr-spec that we take (RFC 5321 §4.1.2, RFC 6531)."""


class AlreadyExists(Refused):
    """A domain or an address that is there already."""


class NotFound(Refused):
    """No such domain, user, message."""


class Unscannable(PostriverError):
    """The scanner is healthy and cannot scan this one content: a verdict, not an outage."""
