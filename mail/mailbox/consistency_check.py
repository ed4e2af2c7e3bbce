"""Whether a mailbox's views say what its journal says; pure, for every store alike.

The journal (with its snapshot) is the truth; counts are counted from the messages that it names.
Of a row only the head is not in the journal: it is taken as it stands, or read from the content.
Entries of the first version do not name a conversation: then the row does.
"""

from collections.abc import Iterable, Mapping

import msgspec

from mail.errors import Refused
from mail.mailbox.counts import Recount
from mail.mailbox.journal_replay import JournalReplay, row_of
from mail.mailbox.threads import thread_for, thread_keys
from schemas.consistency import COUNTS, JOURNAL, LISTS, ExpectedMessage, ViewDifference
from schemas.events.mailbox_events import MailboxChanged
from schemas.mail import HeaderSummary
from schemas.mailbox import MailboxState, Message
from schemas.snapshot import MessageRecord, Snapshot

UNKNOWN = HeaderSummary(parse_failed=True)  # of a message whose row and content are both gone


class JournalDamaged(Refused):
    """Nothing can be proven by this journal, and nothing rebuilt from it."""


def folded(
    snapshot: Snapshot, records: Iterable[MessageRecord], entries: Iterable[MailboxChanged]
) -> JournalReplay:
    """The mailbox as the journal tells it. JournalDamaged."""
    history = JournalReplay(snapshot.state, {record.message_id: record for record in records})
    try:
        for entry in entries:
            history.add(entry)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise damaged(history.state.seq, error) from error
    return history


def damaged(seq: int, error: Exception) -> JournalDamaged:
    return JournalDamaged(f"behind seq {seq}: {error}")


def recounted(history: JournalReplay) -> MailboxState:
    """The state that the journal's messages add up to."""
    recount = Recount()
    for record in history.records.values():
        recount.move(None, record)
    return recount.state(history.state)


def state_differences(found: MailboxState | None, wanted: MailboxState) -> list[ViewDifference]:
    """One for each folder, and one for whatever else."""
    if found is None:
        return [ViewDifference(COUNTS, "the state cannot be read")]
    told = [
        ViewDifference(
            COUNTS, f"folder {id_}: {_counts(found, id_)}, wanted {_counts(wanted, id_)}"
        )
        for id_ in sorted(found.folders.keys() | wanted.folders.keys())
        if found.folders.get(id_) != wanted.folders.get(id_)
    ]
    told += [
        ViewDifference(COUNTS, f"{name}: {getattr(found, name)}, wanted {getattr(wanted, name)}")
        for name in ("seq", "epoch", "partition", "offset", "own", "usage")
        if getattr(found, name) != getattr(wanted, name)
    ]
    return told


def wanted_row(record: MessageRecord, row: Message) -> Message:
    """The row as it should be; its head, its owner and a missing thread are taken as they stand."""
    wanted = row_of(record, user_id=row.user_id, domain_id=row.domain_id, head=row.head)
    return msgspec.structs.replace(wanted, thread_id=record.thread_id or row.thread_id)


def lost_row(
    record: MessageRecord,
    *,
    user_id: str,
    domain_id: str,
    head: HeaderSummary,
    bound: Mapping[bytes, str],
) -> Message:
    """The row of a message that has none; `bound` ties the ids of its head to threads."""
    row = row_of(record, user_id=user_id, domain_id=domain_id, head=head)
    thread_id = row.thread_id or thread_for(row.message_id, thread_keys(head), bound)
    return msgspec.structs.replace(row, thread_id=thread_id)


def row_differences(
    message_id: str, record: MessageRecord | None, row: Message | None
) -> list[ViewDifference]:
    """Of a row that is there; `row` None: it cannot be read, `record` None: it should not be."""
    if record is None:
        return [_of(message_id, "has a row, and the journal does not know it")]
    if row is None:
        return [_of(message_id, "has a row that cannot be read"), no_row(message_id)]
    wanted = wanted_row(record, row)
    wrong = [name for name in row.__struct_fields__ if getattr(row, name) != getattr(wanted, name)]
    return [_of(message_id, f"has a row with wrong {', '.join(wrong)}")] if wrong else []


def no_row(message_id: str) -> ViewDifference:
    return _of(message_id, "has no row")


def is_bound(
    found: str | None, *, thread_id: str, created_seq: int, destroyed_seq: int | None
) -> bool:
    """Whether a header's message id is bound to the right thread.

    `thread_id`, `created_seq`: of the first living message that has the id. A destroyed message may
    have bound it before, and its header is gone: `destroyed_seq` is the created_seq of the first
    destroyed message of the thread `found`.
    """
    if found == thread_id:
        return True
    return found is not None and destroyed_seq is not None and destroyed_seq < created_seq


def kept(record: MessageRecord) -> ExpectedMessage:
    told = record.delivered
    return ExpectedMessage(record.message_id, told.mail_id, told.content, record.destroyed)


def journal_difference(error: JournalDamaged) -> ViewDifference:
    return ViewDifference(JOURNAL, error.detail)


def _of(message_id: str, what: str) -> ViewDifference:
    return ViewDifference(LISTS, f"message {message_id} {what}")


def _counts(state: MailboxState, folder_id: str) -> str:
    found = state.folders.get(folder_id)
    if found is None:
        return "not there"
    return f"total {found.total}, unread {found.unread}, next uid {found.next_uid}"
