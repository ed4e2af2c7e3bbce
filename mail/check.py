"""Whether a mailbox's views say what its journal says; pure, for every store alike.

The journal (with its snapshot) is the truth; counts are counted from the messages that it names.
Of a row only the head is not in the journal: it is taken as it stands, or read from the content.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from mail.errors import Refused
from mail.history import History, row_of
from mail.threads import bindings, thread_for, thread_keys
from schemas.checks import COUNTS, JOURNAL, LISTS, THREADS, Difference, Kept
from schemas.events import MailboxChanged
from schemas.mail import Head
from schemas.mailbox import SEEN, FolderCounts, MailboxState, Message, Usage
from schemas.snapshot import MessageRecord, Snapshot

UNKNOWN = Head(parse_failed=True)  # of a message whose row and content are both gone


class JournalDamaged(Refused):
    """Nothing can be proven by this journal, and nothing rebuilt from it."""


def folded(
    snapshot: Snapshot, records: Iterable[MessageRecord], entries: Iterable[MailboxChanged]
) -> History:
    """The mailbox as the journal tells it. JournalDamaged."""
    history = History(snapshot.state, {record.message_id: record for record in records})
    try:
        for entry in entries:
            history.add(entry)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise JournalDamaged(f"behind seq {history.state.seq}: {error}") from error
    return history


def recounted(history: History) -> MailboxState:
    """The state that the journal's messages add up to."""
    folders = {
        id_: FolderCounts(id_, next_uid=told.next_uid)
        for id_, told in history.state.folders.items()
    }
    size_bytes = messages = 0
    for record in history.records.values():
        if record.destroyed:
            continue
        size_bytes += record.delivered.content.size_bytes
        messages += 1
        for id_ in record.places:
            before = folders.get(id_) or FolderCounts(id_)
            folders[id_] = msgspec.structs.replace(
                before,
                total=before.total + 1,
                unread=before.unread + int(SEEN not in record.keywords),
            )
    return msgspec.structs.replace(
        history.state, folders=folders, usage=Usage(size_bytes, messages)
    )


def state_differences(found: MailboxState | None, wanted: MailboxState) -> list[Difference]:
    """One for each folder, and one for whatever else."""
    if found is None:
        return [Difference(COUNTS, "the state cannot be read")]
    told = [
        Difference(COUNTS, f"folder {id_}: {_counts(found, id_)}, wanted {_counts(wanted, id_)}")
        for id_ in sorted(found.folders.keys() | wanted.folders.keys())
        if found.folders.get(id_) != wanted.folders.get(id_)
    ]
    told += [
        Difference(COUNTS, f"{name}: {getattr(found, name)}, wanted {getattr(wanted, name)}")
        for name in ("seq", "epoch", "partition", "offset", "own", "usage")
        if getattr(found, name) != getattr(wanted, name)
    ]
    return told


def kept(record: MessageRecord) -> Kept:
    told = record.delivered
    return Kept(record.message_id, told.mail_id, told.content, record.destroyed)


def journal_difference(error: JournalDamaged) -> Difference:
    return Difference(JOURNAL, error.detail)


@dataclass(frozen=True, slots=True)
class _Tied:
    """What a message says of its thread."""

    created_seq: int
    message_id: str
    keys: tuple[bytes, ...]
    given: str  # by the journal; "" in what the first version wrote
    found: str  # in the row


@dataclass(slots=True)
class RowCheck:
    """Takes a mailbox's rows one at a time, then its threads; keeps the differences."""

    history: History
    differences: list[Difference] = field(default_factory=list)
    unmet: set[str] = field(default_factory=set)  # messages without a row so far
    _tied: list[_Tied] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.unmet |= self.history.records.keys()

    def row(self, message_id: str, row: Message | None) -> Message | None:
        """The row as it should be; None: there should be none, or (unmet) nobody can read it."""
        record = self.history.records.get(message_id)
        if record is None:
            self._note(message_id, "has a row, and the journal does not know it")
            return None
        if row is None or row.message_id != message_id:
            self._note(message_id, "has a row that cannot be read")
            return None
        self.unmet.discard(message_id)
        wanted = self._wanted(record, row)
        wrong = [
            name for name in row.__struct_fields__ if getattr(row, name) != getattr(wanted, name)
        ]
        if wrong:
            self._note(message_id, f"has a row with wrong {', '.join(wrong)}")
        return wanted

    def made(self, message_id: str, *, user_id: str, domain_id: str, head: Head) -> Message:
        """The row of an unmet message."""
        record = self.history.records[message_id]
        row = row_of(record, user_id=user_id, domain_id=domain_id, head=head)
        self.unmet.discard(message_id)
        return self._wanted(record, row)

    def missing(self) -> list[MessageRecord]:
        """Messages without a readable row, in the order in which they came."""
        for message_id in sorted(self.unmet):
            self._note(message_id, "has no row")
        found = (self.history.records[message_id] for message_id in self.unmet)
        return sorted(found, key=lambda record: record.created_seq)

    def threads(self, found: Mapping[bytes, str]) -> tuple[dict[bytes, str], dict[str, str]]:
        """After all rows: bindings that lack or differ, and rows with a wrong thread by id."""
        bound: dict[bytes, str] = {}
        moved: dict[str, str] = {}
        for one in sorted(self._tied, key=lambda one: (one.created_seq, one.message_id)):
            thread_id = one.given or thread_for(one.message_id, one.keys, bound)
            bound |= bindings(thread_id, one.keys, bound)
            if thread_id != one.found:
                moved[one.message_id] = thread_id
                self._tell(f"message {one.message_id} is in thread {one.found or 'none'}")
        lacking = {key: id_ for key, id_ in bound.items() if found.get(key) != id_}
        if lacking:
            self._tell(f"{len(lacking)} of {len(bound)} message ids are bound wrongly or not")
        return lacking, moved

    def _wanted(self, record: MessageRecord, row: Message) -> Message:
        self._tied.append(
            _Tied(
                record.created_seq,
                record.message_id,
                thread_keys(row.head),
                record.thread_id,
                row.thread_id,
            )
        )
        wanted = row_of(record, user_id=row.user_id, domain_id=row.domain_id, head=row.head)
        return msgspec.structs.replace(wanted, thread_id=record.thread_id or row.thread_id)

    def _note(self, message_id: str, what: str) -> None:
        self.differences.append(Difference(LISTS, f"message {message_id} {what}"))

    def _tell(self, what: str) -> None:
        self.differences.append(Difference(THREADS, what))


def _counts(state: MailboxState, folder_id: str) -> str:
    found = state.folders.get(folder_id)
    if found is None:
        return "not there"
    return f"total {found.total}, unread {found.unread}, next uid {found.next_uid}"
