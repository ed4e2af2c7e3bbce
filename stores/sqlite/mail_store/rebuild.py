"""Check a mailbox at one moment, or rebuild it in bounded steps between commits of its owner.

A step first applies new journal entries to the rebuild tables, then compares the next range of rows
with them. A range that was compared stays correct, because commits keep it so.
"""

from collections.abc import Callable, Mapping
from sqlite3 import Connection

from mail.errors import Refused
from mail.mailbox import consistency_check as rules
from mail.mailbox.counts import Recount
from schemas.consistency import COUNTS, LISTS, ConsistencyReport, Rebuild
from schemas.events.mailbox_commands import RebuildViews
from schemas.ids import MessageId, UserId
from schemas.mail import HeaderSummary
from schemas.mailbox import MailboxState
from stores.sqlite.mail_store import consistency_check as checks
from stores.sqlite.mail_store import conversation_check, journal_and_rows, rebuild_tables
from stores.sqlite.mail_store.consistency_check import CheckStep
from stores.sqlite.mail_store.list_rows import KEYWORD, MEMBER, PLACE, UID

STEP_MAX = 200  # rows in one step: 40 ms of the store's time on a busy machine
_RANGE = 500  # rows in memory during a check


def _clear(step: CheckStep) -> bool:
    deleted = rebuild_tables.clear(step.connection, step.mailbox.key, step.rows_left)
    step.rows_left -= deleted + 1
    return not deleted


_Phase = Callable[[CheckStep], bool]  # returns whether the phase is finished
_PHASES: dict[str, tuple[str, _Phase]] = {  # in order; the part that needs the phase, "": every
    "clear": ("", _clear),
    "records": ("", checks.copy_records),
    "entries": ("", checks.apply_entries),
    "counts": (COUNTS, checks.counts),
    "rows": (LISTS, checks.message_rows),
    "place": (LISTS, checks.list_table(PLACE)),
    "uid": (LISTS, checks.list_table(UID)),
    "keyword": (LISTS, checks.list_table(KEYWORD)),
    "member": (LISTS, checks.list_table(MEMBER)),
    "conversations": (LISTS, conversation_check.threads),
    "conversation rows": (LISTS, conversation_check.rows),
    "conversation counts": (LISTS, conversation_check.counts),
    "settings": (LISTS, checks.settings),
    "correspondents": (LISTS, checks.correspondents),
    "threads": (LISTS, checks.bindings),
    "end": ("", _clear),
}
_COMPARING = tuple(_PHASES)[3:-1]


def check(connection: Connection, user_id: UserId) -> ConsistencyReport:
    """Return every difference of one mailbox, as of the snapshot that `connection` reads."""
    mailbox = journal_and_rows.header_of(connection, user_id)
    if not mailbox.key:
        return ConsistencyReport()
    rebuild_tables.make_temporary(connection)
    step = CheckStep(
        connection=connection, user_id=user_id, mailbox=mailbox, parts=(LISTS, COUNTS),
        repair=False, rows_left=_RANGE, state=MailboxState(), recount=Recount(),
    )  # fmt: skip
    findings = rules.Findings()
    try:
        for phase in ("records", "entries", *_COMPARING):
            _compare(step, phase, findings)
    except rules.JournalDamaged as error:
        return ConsistencyReport(differences=(rules.journal_difference(error),))
    return findings.report


def _compare(step: CheckStep, phase: str, findings: rules.Findings) -> None:
    """Run a phase to its end, range by range."""
    step.after, is_finished = (), False
    while not is_finished:
        step.rows_left = _RANGE
        is_finished = _PHASES[phase][1](step)
        findings.add(step.differences)
        findings.lost(step.without_row)
        step.differences, step.without_row = [], []


def rebuild(
    connection: Connection,
    order: RebuildViews,
    heads: Mapping[MessageId, HeaderSummary],
    step_max: int,
) -> Rebuild:
    """Run the step of `order`; return the progress, unchanged if that step is not the next step.

    Raises JournalDamaged. Refused: a later rebuild has begun, or the state cannot be read.
    """
    mailbox = journal_and_rows.header_of(connection, order.user_id)
    if not mailbox.key:
        return Rebuild(rebuild_id=order.rebuild_id, parts=order.parts, is_finished=True)
    before = rebuild_tables.progress(connection, mailbox.key)
    if before is None or before.rebuild_id != order.rebuild_id:
        if order.step:
            raise Refused("another rebuild of this mailbox has begun since")
        before = Rebuild(rebuild_id=order.rebuild_id, parts=order.parts, phase="clear")
    if before.is_finished or order.step != before.step:
        return before
    if COUNTS not in before.parts and checks.read_state(connection, order.user_id) is None:
        raise Refused("the state cannot be read: rebuild the counts first")
    step = CheckStep(
        connection=connection, user_id=order.user_id, mailbox=mailbox, parts=before.parts,
        repair=True, rows_left=step_max, state=before.state,
        settings=before.settings, recount=Recount(before.counts, before.usage),
        after=before.after, heads=heads,
    )  # fmt: skip
    progress = _progress_after(before, step, _run_phases(step, before.phase))
    rebuild_tables.put_progress(connection, mailbox.key, progress)
    return progress


def _run_phases(step: CheckStep, phase: str) -> str | None:
    """Run from `phase` on while rows are left; return the next phase, None at the end."""
    names = [name for name, (part, _) in _PHASES.items() if not part or part in step.parts]
    if phase in _COMPARING and not checks.apply_entries(step):
        return phase
    for name in names[names.index(phase) :]:
        is_finished = False
        while not is_finished:
            if step.rows_left <= 0:
                return name
            is_finished = _PHASES[name][1](step)
        step.after = ()
    return None


def _progress_after(before: Rebuild, step: CheckStep, phase: str | None) -> Rebuild:
    return Rebuild(
        rebuild_id=before.rebuild_id,
        parts=before.parts,
        step=before.step + 1,
        phase=phase or "",
        after=step.after,
        state=step.state,
        settings=step.settings,
        counts=step.recount.counts,
        usage=step.recount.usage,
        lacking=step.lacking,
        mended=before.mended + len(set(step.differences)),
        is_finished=phase is None,
    )
