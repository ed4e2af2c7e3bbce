"""Compare the views of MemoryMailStore with its journal, and rewrite them from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from mail.errors import Refused
from mail.mailbox import consistency_check as rules
from mail.mailbox.journal_replay import JournalReplay
from mail.mailbox.threads import thread_keys
from schemas.consistency import (
    COUNTS,
    LISTS,
    THREADS,
    ConsistencyReport,
    ExpectedMessage,
    Rebuild,
    ViewDifference,
)
from schemas.events.mailbox_commands import RebuildViews
from schemas.ids import MessageId, ThreadId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import NO_THREAD, Message
from schemas.snapshot import Snapshot
from stores.memory import owner_views
from stores.memory.mailbox import MemoryMailbox


@dataclass(slots=True)
class _Views:
    """The views that follow from the journal, and their differences from the stored views."""

    rows: dict[MessageId, Message] = field(default_factory=dict)
    threads: dict[bytes, ThreadId] = field(default_factory=dict)
    lost: list[ExpectedMessage] = field(default_factory=list)
    differences: list[ViewDifference] = field(default_factory=list)


def check(box: MemoryMailbox) -> ConsistencyReport:
    try:
        history = _history(box)
    except rules.JournalDamaged as error:
        return ConsistencyReport(differences=(rules.journal_difference(error),))
    views = _expected_views(box, UserId(""), history, {})
    differences = rules.state_differences(box.state, rules.expected_state(history))
    differences += rules.settings_differences(box.settings, history.settings)
    lacking = owner_views.lacking(box.correspondents, views.rows.values())
    differences += rules.correspondent_differences(len(lacking))
    return ConsistencyReport(
        differences=tuple(sorted({*views.differences, *differences})),
        messages=tuple(map(rules.expected_message, history.records.values())),
        without_row=tuple(views.lost),
    )


def rebuild(
    box: MemoryMailbox, order: RebuildViews, heads: Mapping[MessageId, HeaderSummary]
) -> Rebuild:
    """Rebuild in one step, or in two if header summaries of lost rows are needed."""
    before = box.rebuild
    if before is None or before.rebuild_id != order.rebuild_id:
        if order.step:
            raise Refused("another rebuild of this mailbox has begun since")
        before = Rebuild(rebuild_id=order.rebuild_id, parts=order.parts)
    if not before.is_finished and order.step == before.step:
        box.rebuild = before = _step(box, order, before, heads)
    return before


def _step(
    box: MemoryMailbox,
    order: RebuildViews,
    before: Rebuild,
    heads: Mapping[MessageId, HeaderSummary],
) -> Rebuild:
    history, mended = _history(box), 0
    after = msgspec.structs.replace(before, step=before.step + 1, lacking=())
    if LISTS in before.parts:
        views = _expected_views(box, order.user_id, history, heads)
        alive = [message for message in views.lost if not message.destroyed]
        lacking = [message for message in alive if message.message_id not in heads]
        if lacking:
            return msgspec.structs.replace(after, lacking=tuple(lacking))
        settings = rules.settings_differences(box.settings, history.settings)
        box.messages, mended = views.rows, len(views.differences) + len(settings)
        box.threads |= views.threads
        box.settings = history.settings
        correspondents = owner_views.lacking(box.correspondents, views.rows.values())
        mended += len(rules.correspondent_differences(len(correspondents)))
        box.correspondents |= correspondents
    if COUNTS in before.parts:
        state = rules.expected_state(history)
        mended += len(rules.state_differences(box.state, state))
        box.state = state
    return msgspec.structs.replace(after, mended=mended, is_finished=True)


def _history(box: MemoryMailbox) -> JournalReplay:
    records = box.folded.records.values()
    snapshot = Snapshot(state=box.folded.state, settings=box.folded.settings)
    return rules.replay(snapshot, records, box.journal.values())


def _expected_views(
    box: MemoryMailbox,
    user_id: UserId,
    history: JournalReplay,
    heads: Mapping[MessageId, HeaderSummary],
) -> _Views:
    views = _Views()
    for message_id in box.messages.keys() - history.records.keys():
        row = box.messages[message_id]
        views.differences += rules.row_differences(message_id, None, row)
    for record in sorted(history.records.values(), key=lambda record: record.created_seq):
        stored = box.messages.get(record.message_id)
        if stored is None:
            views.lost.append(rules.expected_message(record))
            views.differences.append(rules.missing_row(record.message_id))
            head = heads.get(record.message_id, HeaderSummary())
            row = rules.rebuilt_row(
                record, user_id=user_id, domain_id=box.domain_id, head=head, bound=box.threads
            )
        else:
            views.differences += rules.row_differences(record.message_id, record, stored)
            row = rules.expected_row(record, stored)
        views.rows[record.message_id] = row
    _bind(box, views)
    return views


def _bind(box: MemoryMailbox, views: _Views) -> None:
    first: dict[bytes, Message] = {}
    destroyed: dict[ThreadId, int] = {}  # created_seq of the first destroyed message, by thread
    for row in views.rows.values():
        if row.destroyed:
            destroyed.setdefault(row.thread_id, row.created_seq)
        for key in thread_keys(row.head):
            first.setdefault(key, row)
    for key, row in first.items():
        bound_to = box.threads.get(key)
        destroyed_seq = destroyed.get(bound_to or NO_THREAD)
        if not rules.is_bound(
            bound_to, thread_id=row.thread_id, created_seq=row.created_seq,
            destroyed_seq=destroyed_seq,
        ):  # fmt: skip
            views.threads[key] = row.thread_id
    if views.threads:
        what = f"{len(views.threads)} message ids have a wrong thread or no thread"
        views.differences.append(ViewDifference(THREADS, what))
