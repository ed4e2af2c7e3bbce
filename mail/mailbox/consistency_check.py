"""Consistency check: compare the views of a mailbox with its journal; pure, for all stores.

The journal with its snapshot is the truth; the expected counts are those of its messages.
The journal does not have a message's header summary: the row's is taken as correct, and a missing
row gets the summary of its content. Entries of the first version do not have a thread id: there the
row's is taken as correct.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from mail.errors import Refused
from mail.mailbox.counts import Recount
from mail.mailbox.journal_replay import JournalReplay, row_of
from mail.mailbox.threads import thread_for, thread_keys
from schemas.consistency import (
    CORRESPONDENTS,
    COUNTS,
    JOURNAL,
    LISTS,
    REPORT_MAX,
    SETTINGS,
    THREADS,
    ConsistencyReport,
    ExpectedMessage,
    ViewDifference,
)
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import DomainId, FolderId, MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import NO_THREAD, MailboxState, Message
from schemas.snapshot import MessageRecord, Snapshot
from schemas.user_settings import StoredSettings

UNKNOWN = HeaderSummary(parse_failed=True)  # for a message without row and without content


_STATE_FIELDS = tuple(name for name in MailboxState.__struct_fields__ if name != "folders")


class JournalDamaged(Refused):
    """The journal cannot be replayed, so no view can be checked against it or rebuilt from it."""


class Findings:
    """What a check has found: the first REPORT_MAX of each kind, and the number of the others."""

    def __init__(self) -> None:
        self._named: set[ViewDifference] = set()
        self._without_row: list[ExpectedMessage] = []
        self._more = 0

    def add(self, differences: Iterable[ViewDifference], *, more: int = 0) -> None:
        """Add differences, and the number of those that a report did not name."""
        self._more += more
        for one in differences:
            if len(self._named) < REPORT_MAX:
                self._named.add(one)
            else:
                self._more += one not in self._named

    def lost(self, messages: Iterable[ExpectedMessage]) -> None:
        self._without_row += islice(messages, REPORT_MAX - len(self._without_row))

    @property
    def report(self) -> ConsistencyReport:
        return ConsistencyReport(
            differences=tuple(sorted(self._named)),
            more=self._more,
            without_row=tuple(self._without_row),
        )


def replay(
    snapshot: Snapshot, records: Iterable[MessageRecord], entries: Iterable[MailboxChanged]
) -> JournalReplay:
    """The mailbox according to the journal.

    Raises JournalDamaged: an entry does not follow the one before it, or cannot be decoded.
    """
    by_id = {record.message_id: record for record in records}
    history = JournalReplay(snapshot.state, by_id, snapshot.settings)
    try:
        for entry in entries:
            history.add(entry)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise damaged(history.state.seq, error) from error
    return history


def damaged(seq: int, error: Exception) -> JournalDamaged:
    """The error for a journal whose entry after `seq` cannot be replayed."""
    return JournalDamaged(f"after seq {seq}: {error}")


def expected_state(history: JournalReplay) -> MailboxState:
    """The state according to the journal, with counts computed from its messages."""
    recount = Recount()
    for record in history.records.values():
        recount.move(None, record)
    return recount.state(history.state)


def state_differences(state: MailboxState | None, expected: MailboxState) -> list[ViewDifference]:
    """One difference per folder whose counts differ, and one per other field that differs.

    `state` is None if the stored state cannot be read.
    """
    if state is None:
        return [ViewDifference(COUNTS, "the state cannot be read")]
    differences = [
        ViewDifference(
            COUNTS, f"folder {id_}: {_counts(state, id_)}, expected {_counts(expected, id_)}"
        )
        for id_ in sorted(state.folders.keys() | expected.folders.keys())
        if state.folders.get(id_) != expected.folders.get(id_)
    ]
    differences += [
        ViewDifference(
            COUNTS, f"{name}: {getattr(state, name)}, expected {getattr(expected, name)}"
        )
        for name in _STATE_FIELDS
        if getattr(state, name) != getattr(expected, name)
    ]
    return differences


def settings_differences(
    stored: StoredSettings | None, expected: StoredSettings
) -> list[ViewDifference]:
    """The difference of settings that differ from the journal; `stored` None: cannot be read.

    No value is named: settings are the owner's own words.
    """
    if stored is None:
        return [ViewDifference(SETTINGS, "the settings cannot be read")]
    names = [
        name
        for name in stored.settings.__struct_fields__
        if getattr(stored.settings, name) != getattr(expected.settings, name)
    ]
    if stored.changed_seq != expected.changed_seq:
        names.append("changed_seq")
    return [ViewDifference(SETTINGS, f"wrong settings: {', '.join(names)}")] if names else []


def correspondent_differences(number: int) -> list[ViewDifference]:
    """The difference of `number` correspondents that messages prove and the store lacks."""
    what = f"{number} correspondents are missing or counted too low"
    return [ViewDifference(CORRESPONDENTS, what)] if number else []


def expected_row(record: MessageRecord, row: Message) -> Message:
    """The row according to the journal.

    What the journal does not have is taken from `row`: header summary, owner, and the thread id of
    a message of the first version.
    """
    expected = row_of(record, user_id=row.user_id, domain_id=row.domain_id, head=row.head)
    return msgspec.structs.replace(expected, thread_id=record.thread_id or row.thread_id)


def rebuilt_row(
    record: MessageRecord,
    *,
    user_id: UserId,
    domain_id: DomainId,
    head: HeaderSummary,
    bound: Mapping[bytes, ThreadId],
) -> Message:
    """The row of a message whose row is missing; `bound` maps its thread keys to thread ids."""
    row = row_of(record, user_id=user_id, domain_id=domain_id, head=head)
    thread_id = row.thread_id or thread_for(row.message_id, thread_keys(head), bound)
    return msgspec.structs.replace(row, thread_id=thread_id)


@dataclass(slots=True)
class ExpectedViews:
    """The message rows and thread bindings that follow from the journal, and what differs."""

    rows: dict[MessageId, Message] = field(default_factory=dict)
    threads: dict[bytes, ThreadId] = field(default_factory=dict)  # to bind: wrong or missing
    lost: list[ExpectedMessage] = field(default_factory=list)  # without a row
    differences: list[ViewDifference] = field(default_factory=list)

    def lacking(self, heads: Mapping[MessageId, HeaderSummary]) -> list[ExpectedMessage]:
        """The lost messages that exist and whose header summary is not in `heads`."""
        alive = (message for message in self.lost if not message.destroyed)
        return [message for message in alive if message.message_id not in heads]


def expected_views(
    history: JournalReplay,
    stored: Mapping[MessageId, Message],
    bound: Mapping[bytes, ThreadId],
    heads: Mapping[MessageId, HeaderSummary],
    *,
    user_id: UserId,
    domain_id: DomainId,
) -> ExpectedViews:
    """Compare a whole mailbox: `stored` are its rows, `bound` its thread keys.

    `heads`: header summaries of lost rows.
    """
    views = ExpectedViews()
    for message_id in stored.keys() - history.records.keys():
        views.differences += row_differences(message_id, None, stored[message_id])
    for record in sorted(history.records.values(), key=lambda record: record.created_seq):
        row = stored.get(record.message_id)
        if row is None:
            views.lost.append(expected_message(record))
            views.differences.append(missing_row(record.message_id))
            head = heads.get(record.message_id, HeaderSummary())
            expected = rebuilt_row(
                record, user_id=user_id, domain_id=domain_id, head=head, bound=bound
            )
        else:
            views.differences += row_differences(record.message_id, record, row)
            expected = expected_row(record, row)
        views.rows[record.message_id] = expected
    _bind(views, bound)
    return views


def _bind(views: ExpectedViews, bound: Mapping[bytes, ThreadId]) -> None:
    first: dict[bytes, Message] = {}
    destroyed: dict[ThreadId, int] = {}  # created_seq of the first destroyed message, by thread
    for row in views.rows.values():
        if row.destroyed:
            destroyed.setdefault(row.thread_id, row.created_seq)
        for key in thread_keys(row.head):
            first.setdefault(key, row)
    for key, row in first.items():
        bound_to = bound.get(key)
        destroyed_seq = destroyed.get(bound_to or NO_THREAD)
        if not is_bound(
            bound_to, thread_id=row.thread_id, created_seq=row.created_seq,
            destroyed_seq=destroyed_seq,
        ):  # fmt: skip
            views.threads[key] = row.thread_id
    if views.threads:
        what = f"{len(views.threads)} message ids have a wrong thread or no thread"
        views.differences.append(ViewDifference(THREADS, what))


def row_differences(
    message_id: MessageId, record: MessageRecord | None, row: Message | None
) -> list[ViewDifference]:
    """How an existing row differs from the journal's record of the message.

    `row` is None if the row cannot be read; `record` is None if the journal has no such message.
    """
    if record is None:
        return [_of(message_id, "has a row, but is not in the journal")]
    if row is None:
        return [_of(message_id, "has a row that cannot be read"), missing_row(message_id)]
    expected = expected_row(record, row)
    wrong = [
        name for name in row.__struct_fields__ if getattr(row, name) != getattr(expected, name)
    ]
    return [_of(message_id, f"has a row with wrong {', '.join(wrong)}")] if wrong else []


def missing_row(message_id: MessageId) -> ViewDifference:
    """The difference of a message without a row."""
    return _of(message_id, "has no row")


def is_bound(
    bound_id: ThreadId | None, *, thread_id: ThreadId, created_seq: int, destroyed_seq: int | None
) -> bool:
    """Whether a Message-ID is bound to the right thread; `bound_id` is the thread it is bound to.

    `thread_id` and `created_seq` are those of the first existing message with this Message-ID. A
    message that is destroyed by now, and whose header is deleted, may have bound it earlier:
    `destroyed_seq` is the created_seq of the first destroyed message of the thread `bound_id`.
    """
    if bound_id == thread_id:
        return True
    return bound_id is not None and destroyed_seq is not None and destroyed_seq < created_seq


def expected_message(record: MessageRecord) -> ExpectedMessage:
    """What the message of `record` needs of other stores."""
    delivered = record.delivered
    return ExpectedMessage(
        record.message_id, delivered.mail_id, delivered.content, record.destroyed
    )


def journal_difference(error: JournalDamaged) -> ViewDifference:
    """The only difference of a mailbox whose journal is damaged."""
    return ViewDifference(JOURNAL, error.detail)


def _of(message_id: MessageId, what: str) -> ViewDifference:
    return ViewDifference(LISTS, f"message {message_id} {what}")


def _counts(state: MailboxState, folder_id: FolderId) -> str:
    counts = state.folders.get(folder_id)
    if counts is None:
        return "missing"
    fields = (name for name in counts.__struct_fields__ if name != "id")
    return ", ".join(f"{name} {getattr(counts, name)}" for name in fields)
