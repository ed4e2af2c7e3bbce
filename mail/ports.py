"""What the domain needs of the world: promises and failures, no technology.

Every adapter of a port passes the port's one contract suite in tests/contracts/. A method raises
StoreUnavailable (ScannerUnavailable, BrokerUnavailable) when its engine does not answer; the call
may then be repeated as it was. Every write is durable when it returns, and idempotent by its id.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from mail.cursors import NEWEST, Place
from mail.highlights import Marked
from mail.query import Node
from mail.query_plan import Wanted
from schemas.checks import Checked, Rebuilt
from schemas.content import Stored
from schemas.custody import Accepted, Entry, Letter, Look, Totals
from schemas.events import Event, MailboxChanged, MailboxEvent, Position
from schemas.mail import Head, Hop
from schemas.mailbox import Filter, Folder, MailboxState, Message, Page, Usage
from schemas.records import (
    Alias,
    Domain,
    Holder,
    IndexDocument,
    Owner,
    Quarantined,
    Quota,
    Session,
    SignIn,
    User,
)
from schemas.snapshot import MessageRecord, Snapshot

FOUND_MAX = 1_000  # of one call of SearchIndex.find
SIGN_INS_KEPT = 1_000  # of one user and outcome


class Work(Protocol):
    """One try at one event, as a handler sees it."""

    @property
    def position(self) -> Position: ...

    @property
    def attempt(self) -> int:
        """1 for the first try since this process got the event."""
        ...

    def hop(self, verdict: str) -> Hop:
        """The hop of this stage so far."""
        ...

    def after_publish(self, then: Callable[[], None]) -> None:
        """Call `then` once this try's outputs are acknowledged, before the event is.

        It must not block and must not fail. The next event of the same key, where the stage is
        ordered, is not handled before it. Dropped when the try ends in any other way, or when the
        partition has been revoked meanwhile.
        """
        ...


class Publisher(Protocol):
    """The way into the river. Topic and key follow from the event (streams/topology.py)."""

    async def publish(self, *events: Event) -> None:
        """Return once the broker acknowledged all. BrokerUnavailable: in doubt, repeat."""
        ...


class ContentStore(Protocol):
    """Raw mails, byte for byte."""

    async def put(self, mail_id: str, content: bytes) -> Stored:
        """Return once durable; the same id again changes nothing."""
        ...

    async def get(self, ref: str) -> bytes:
        """ContentMissing when nothing is there."""
        ...

    async def delete(self, ref: str) -> None:
        """Absent already: no error."""
        ...

    async def older(
        self, *, before_ms: int, place: str | None, limit: int
    ) -> tuple[list[str], str | None]:
        """References of contents whose mail is older, and where to go on; None after the last.

        Looks at `limit` contents at most, so it may give fewer, or none. A walk from None to None
        gives all that were there from its beginning to its end; the time is that in the mail id
        (UUIDv7), else of the `put`.
        """
        ...

    async def absent(self, refs: Iterable[str]) -> list[str]:
        """Those of `refs` that lead nowhere, without reading the others."""
        ...


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """All that one mailbox command writes."""

    entry: MailboxChanged
    messages: tuple[Message, ...]  # the rows after the change, one for each of the entry's changes
    state: MailboxState  # after the change; its seq is the entry's
    threads: dict[bytes, str] = {}  # to bind: hash of a message id -> thread id


class MailStore(Protocol):
    """Journal, state, message rows and lists of every mailbox. One writer per user: `mailbox`."""

    async def load(self, user_id: str) -> MailboxState:
        """The state, after views are brought up to the journal. A new user: MailboxState()."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Journal first, then views and state. The same commit again changes nothing.

        JournalConflict: the journal holds another command_id at (user, seq), or `seq` leaves a gap.
        Calls of many users may be written together; each fails or succeeds alone.
        """
        ...

    async def by_command(self, user_id: str, command_id: str) -> MailboxChanged | None:
        """FeedGone: it was carried out, and its entry is folded."""
        ...

    async def message(self, user_id: str, message_id: str) -> Message | None:
        """Tombstones too (`destroyed`). Another user's message: None."""
        ...

    async def rows(self, user_id: str, message_ids: Sequence[str]) -> dict[str, Message]:
        """Those that exist, tombstones too, by id."""
        ...

    async def messages(self, user_id: str, message_ids: Sequence[str]) -> dict[str, Message]:
        """Those that exist and are not destroyed, by id."""
        ...

    async def by_id(self, user_id: str, *, after_id: str, limit: int) -> list[Message]:
        """Messages that are not destroyed with an id above `after_id`, by id; 1 <= limit <= 500."""
        ...

    async def folders(self, user_id: str) -> tuple[Folder, ...]:
        """The standard folders in the order of FOLDERS, then the owner's by name."""
        ...

    async def page(
        self,
        user_id: str,
        folder_id: str | None,
        *,
        wanted: Filter,
        limit: int,
        cursor: str | None,
    ) -> Page:
        """Newest `received_at_ms` first, then by message id; stable under arrivals.

        `folder_id` None: all mail but junk and trash. A filter that finds little is bounded in what
        it looks at: then the page is short, and its cursor goes on.
        Refused: a cursor that this store did not give. 1 <= limit <= 500.
        """
        ...

    async def by_uid(
        self, user_id: str, folder_id: str, *, after_uid: int, limit: int
    ) -> list[Message]:
        """Messages of a folder with uid > after_uid, by uid. Refused: limit is not 1 to 500."""
        ...

    async def threads_of(self, user_id: str, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Thread ids of those hashes of message ids that are bound (mail/threads.py)."""
        ...

    async def thread(self, user_id: str, thread_id: str, *, limit: int, cursor: str | None) -> Page:
        """A conversation's messages in the order of their arrival, wherever they lie.

        Refused: a cursor that this store did not give. 1 <= limit <= 500.
        """
        ...

    async def usage(self, user_id: str) -> Usage: ...

    async def domain_usage(self, domain_id: str) -> Usage:
        """Of all its users together."""
        ...

    async def journal(self, user_id: str, *, since_seq: int, limit: int) -> list[MailboxChanged]:
        """Entries with seq > since_seq, in order. FeedGone: some of them are folded."""
        ...

    async def snapshot(self, user_id: str) -> Snapshot:
        """What the folded entries left; Snapshot() when none are."""
        ...

    async def snapshot_records(
        self, user_id: str, *, after_id: str, limit: int
    ) -> list[MessageRecord]:
        """The snapshot's messages with an id above `after_id`, by id; destroyed ones too.

        1 <= limit <= 500. Records are of the moment of the call: fold and read do not go together.
        """
        ...

    async def foldable(self, *, before_ms: int, limit: int) -> list[str]:
        """User ids whose first unfolded entry is older than `before_ms`, longest ago first."""
        ...

    async def fold(self, user_id: str, *, before_ms: int) -> int:
        """Fold the journal's first entries, as long as they are older, into the snapshot.

        One call folds a bounded number of them, and at least one that is due; how many is returned.
        Safe beside the writer: only entries whose views are written are folded.
        """
        ...

    async def check(self, user_id: str) -> Checked:
        """Views held against the journal, all of one moment; costs memory by the message."""
        ...

    async def rebuild(
        self, user_id: str, parts: Collection[str], heads: Mapping[str, Head]
    ) -> Rebuilt:
        """Views written anew from the journal, where they differ: `lists` with rows, `counts`.

        `heads`, by message id, are for those whose row is gone (Checked.without_row). For the
        writer of the mailbox only. JournalDamaged (mail/check.py), Refused: nothing was written.
        """
        ...

    async def by_mail(self, mail_id: str) -> list[Message]:
        """Every message that came of a mail, destroyed ones too; for operators."""
        ...

    async def by_mails(self, mail_ids: Iterable[str]) -> list[Message]:
        """As `by_mail`, for many mails at once, in no order."""
        ...


class Unread(Protocol):
    """The live copy of mailbox states (the Faust table): a cache of the store, never the truth."""

    def get(self, user_id: str) -> MailboxState | None:
        """None when this assignment has not yet proven its copy against the store."""
        ...

    def set(self, user_id: str, state: MailboxState) -> None:
        """Keep `state` as proven."""
        ...

    def doubt(self, user_id: str) -> None:
        """Forget the proof: the next command of this user loads from the store again."""
        ...


class Directory(Protocol):
    """Domains, users, aliases, sign-ins. Addresses become opaque ids here and nowhere else."""

    async def add_domain(self, domain: Domain, postmaster: User) -> None:
        """AlreadyExists."""
        ...

    async def domains(self) -> list[Domain]: ...

    async def domain(self, name: str) -> Domain | None:
        """By its normal form (mail/addresses.py)."""
        ...

    async def domain_of(self, domain_id: str) -> Domain | None: ...

    async def add_user(self, user: User) -> None:
        """AlreadyExists: the address is taken. NotFound: no such domain."""
        ...

    async def users(self) -> list[User]: ...

    async def user(self, user_id: str) -> User | None: ...

    async def user_by_address(self, address: str) -> User | None:
        """By the address's normal form; no plus-address is resolved here."""
        ...

    async def find(self, addresses: Sequence[str]) -> dict[str, User | Alias]:
        """Who or what those of `addresses` are that are known; all in their normal form."""
        ...

    async def aliases(self) -> list[Alias]:
        """Aliases and groups, by address."""
        ...

    async def add_alias(self, alias: Alias) -> None:
        """Make it; of a group that is there already, the targets are added to those it has.

        AlreadyExists: the address is taken otherwise. NotFound: no such domain.
        """
        ...

    async def remove_alias(self, address: str) -> None:
        """With all its targets. NotFound."""
        ...

    async def remove_target(self, address: str, target: str) -> None:
        """NotFound: no such alias, or it has no such target."""
        ...

    async def leading_to(self, target: str) -> list[str]:
        """Addresses of aliases and groups that have `target` in their list, sorted.

        A domain's catch-all is told as *@domain.
        """
        ...

    async def set_catch_all(self, domain_id: str, address: str) -> None:
        """NotFound. An empty address: there is none from now on."""
        ...

    async def set_user_quota(self, user_id: str, quota: Quota) -> None:
        """NotFound."""
        ...

    async def set_domain_quota(self, domain_id: str, quota: Quota) -> None:
        """NotFound."""
        ...

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Ends the user's sessions. NotFound."""
        ...

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        """Disabling ends the user's sessions; mail is still taken. NotFound."""
        ...

    async def add_session(self, session: Session) -> None: ...

    async def session(self, token_sha256: str) -> Session | None: ...

    async def sessions(self, user_id: str, *, limit: int) -> list[Session]:
        """The newest first, those that have expired too."""
        ...

    async def use_session(self, token_sha256: str, *, at_ms: int) -> None:
        """Remember the latest use. Ended: no error."""
        ...

    async def end_session(self, token_sha256: str) -> None: ...

    async def prune_sessions(self, now_ms: int) -> int:
        """Forget those that have expired; how many there were."""
        ...

    async def note_sign_in(self, sign_in: SignIn) -> None:
        """Beyond the last SIGN_INS_KEPT of that user and outcome older ones are forgotten."""
        ...

    async def sign_ins(self, user_id: str, *, limit: int, before: Place = NEWEST) -> list[SignIn]:
        """Newest first; `before` is (at_ms, sign_in_id) of the last one seen."""
        ...

    async def prune_sign_ins(self, *, before_ms: int) -> int:
        """Forget those that are older; how many there were."""
        ...

    async def setting(self, name: str) -> str | None:
        """A fact of this installation, such as a topic's epoch."""
        ...

    async def set_setting(self, name: str, value: str) -> None: ...


class Resolver(Protocol):
    """What ingress asks of the directory (mail/resolver.py gives it over a Directory)."""

    async def resolve(self, forward_path: str) -> tuple[Owner, ...]:
        """Whom it reaches: at least one, nobody twice.

        NotFound: nobody. Refused: not our domain. BadAddress.
        """
        ...


class Room(Protocol):
    """What ingress asks before it takes a mail (mail/quotas.py gives it over a MailStore)."""

    async def has_room(self, owners: Sequence[Owner], *, size_bytes: int) -> bool:
        """Whether one of `owners` has room for a mail; its size is 0 when it is not known.

        Cheap, and true when nobody can tell: what was accepted waits in the log.
        """
        ...


class Quarantine(Protocol):
    """Mail that was accepted and must not be delivered."""

    async def put(self, row: Quarantined) -> None:
        """Keyed by mail id; the first one stays."""
        ...

    async def get(self, mail_id: str) -> Quarantined | None: ...

    async def get_many(self, mail_ids: Iterable[str]) -> list[Quarantined]:
        """The rows that there are, deleted ones too, in no order."""
        ...

    async def list(
        self, *, limit: int, before: str | None = None, reason: str | None = None
    ) -> list[Quarantined]:
        """Newest mail id first, without deleted ones; `before` is a mail id. 1 <= limit <= 500."""
        ...

    async def release(self, mail_id: str, *, by: str, at_ms: int) -> None:
        """Remember who released it and when; the first one stays. NotFound: no row, or deleted."""
        ...

    async def delete(self, mail_id: str, *, by: str, at_ms: int) -> None:
        """Forget what the mail said; that there was one stays. NotFound: no row, or deleted."""
        ...


class Holders(Protocol):
    """Who still needs a content."""

    async def hold(self, holders: Iterable[Holder]) -> None: ...

    async def of(self, mail_id: str) -> list[Holder]: ...

    async def held(self, mail_ids: Sequence[str]) -> set[str]:
        """Those of `mail_ids` that anybody holds."""
        ...

    async def release(self, mail_id: str, holder: str) -> None:
        """Not held: no error."""
        ...

    async def release_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        """`release` for each mail id and holder, written together."""
        ...


class Ledger(Protocol):
    """Custody's own book, beside the river: what was accepted, and what has become of it."""

    async def enter(self, mails: Iterable[Accepted]) -> int:
        """How many were new; one that is known stays as it is."""
        ...

    async def note(self, letters: Iterable[Letter]) -> None:
        """Keyed by letter id; a state follows `parked` and never goes back to it.

        The mails of these letters are open again, to be looked at now.
        """
        ...

    async def reopen(self, mail_ids: Iterable[str], *, at_ms: int) -> None:
        """Something was done about these mails: look at them from `at_ms` on."""
        ...

    async def due(self, *, now_ms: int, limit: int) -> list[Entry]:
        """Open mails whose time to be looked at has come, the longest due first."""
        ...

    async def mark(self, looks: Iterable[Look]) -> None:
        """Write down what was found; a mail that is not in the ledger is passed over."""
        ...

    async def get(self, mail_id: str) -> Entry | None: ...

    async def accepted(
        self, *, since_ms: int, until_ms: int, limit: int, after: tuple[int, str] | None = None
    ) -> list[Entry]:
        """Of [since, until), oldest first; `after` is (accepted_at_ms, mail_id) of the last one."""
        ...

    async def of_user(
        self, user_id: str, *, since_ms: int, until_ms: int, limit: int
    ) -> list[Entry]:
        """Mails to one owner in [since, until), newest first."""
        ...

    async def by_header(self, message_id_header: str) -> list[Entry]:
        """Mails with that Message-ID, newest first, at most 100; senders may repeat it."""
        ...

    async def by_message(self, message_id: str) -> tuple[str, str] | None:
        """Mail id and user id of a message in a mailbox."""
        ...

    async def letters(self, mail_ids: Iterable[str]) -> list[Letter]:
        """What is known of these mails' dead letters."""
        ...

    async def totals(self) -> Totals: ...

    async def forget(self, *, before_ms: int, limit: int) -> int:
        """Drop at most `limit` closed mails accepted before; how many. Open ones stay."""
        ...


class InFlight(Protocol):
    """The log, seen from outside."""

    async def waiting(self, mail_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """Those mails with a record that its reader has not finished, and for which owners.

        EVERYONE stands for all owners. A mail that moves on meanwhile is seen here, or is in the
        stores when this returns. Transient: the log could not be searched to its end.
        """
        ...


class DeadLetters(Protocol):
    """What was parked, as the log itself tells it."""

    async def since(self, at_ms: int) -> list[Letter]:
        """One for each letter written since then, in its present state. BrokerUnavailable."""
        ...


class SearchIndex(Protocol):
    """Text, size and time of messages. What matches is defined by mail/query_match.py for all.

    What is asked costs a bounded time in one mailbox, whatever others hold.
    """

    async def add(self, document: IndexDocument) -> None:
        """Keyed by message id; the same again changes nothing. Calls may be written together."""
        ...

    async def remove(self, user_id: str, message_id: str) -> None: ...

    async def find(
        self, user_id: str, wanted: Wanted, *, limit: int, before: Place = NEWEST
    ) -> list[Place]:
        """Newest first, then by message id; those behind `before` in that order.

        A place's number is the index's own, its text the message id. 1 <= limit <= FOUND_MAX.
        """
        ...

    async def among(self, user_id: str, wanted: Wanted, message_ids: Sequence[str]) -> set[str]:
        """Those of the messages, at most FOUND_MAX, that match."""
        ...

    async def count(self, user_id: str, wanted: Wanted, *, limit: int) -> int:
        """How many match; `limit` when there are more."""
        ...

    async def mark(self, user_id: str, node: Node, message_ids: Sequence[str]) -> dict[str, Marked]:
        """Where texts answer `node`; a message that the index does not hold has no entry."""
        ...

    async def known(self, user_id: str, message_ids: Sequence[str]) -> set[str]:
        """Those that the index holds."""
        ...

    async def lose(self, user_id: str) -> None:
        """Drop every document of the user, who is among `unfilled` from now on until `filled`."""
        ...

    async def unfilled(self) -> list[str]:
        """Users whose documents the index has lost, since a version keeps them otherwise."""
        ...

    async def filled(self, user_id: str) -> None:
        """All documents of the user have been added again."""
        ...


class VirusReport(msgspec.Struct, frozen=True, kw_only=True):
    """`virus` is "" for a clean mail; `signatures` names the engine's version and database."""

    virus: str
    signatures: str


class SpamReport(msgspec.Struct, frozen=True, kw_only=True):
    score: float
    tests: tuple[str, ...]
    rules: str
    scanned_bytes: int


class VirusScanner(Protocol):
    async def scan(self, content: bytes) -> VirusReport:
        """ScannerUnavailable: no answer. Unscannable: it answered that it cannot read this mail."""
        ...

    async def signatures(self) -> str:
        """Version of engine and signatures, as the engine tells it."""
        ...


class SpamScanner(Protocol):
    async def check(self, content: bytes) -> SpamReport:
        """ScannerUnavailable: no answer. A mail over 512 KiB is judged by its beginning."""
        ...


class Feed(Protocol):
    """Mailbox events as they come, from the moment of subscription on; nothing is kept."""

    def subscribe(self, user_id: str, sink: Callable[[MailboxEvent], None]) -> Callable[[], None]:
        """Call `sink`, which must not block, for each event of the user; returns the way out."""
        ...


class Gate(Protocol):
    """Whether new mail may be taken now."""

    def closed(self) -> str | None:
        """None when open, else why not (low disk, backlog), fit for an operator's eye."""
        ...
