"""Compare the views of MemoryMailStore with its journal, and rewrite them from it."""

from collections.abc import Mapping

import msgspec

from mail.errors import Refused
from mail.mailbox import consistency_check as rules
from mail.mailbox.journal_replay import JournalReplay
from schemas.consistency import (
    COUNTS,
    LISTS,
    ConsistencyReport,
    Rebuild,
)
from schemas.events.mailbox_commands import RebuildViews
from schemas.ids import MessageId, UserId
from schemas.mail import HeaderSummary
from schemas.snapshot import Snapshot
from stores.memory import owner_views
from stores.memory.mailbox import MemoryMailbox


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
    findings = rules.Findings()
    findings.add([*views.differences, *differences])
    findings.lost(views.lost)
    return findings.report


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
        lacking = views.lacking(heads)
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
) -> rules.ExpectedViews:
    return rules.expected_views(
        history, box.messages, box.threads, heads, user_id=user_id, domain_id=box.domain_id
    )
