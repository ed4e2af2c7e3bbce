"""A mailbox checked at one moment, or rebuilt in bounded steps with commits of its owner between.

A step first brings the scratch records up to the mailbox's seq, and then compares the next range of
lines as of that moment. A range that was compared stays right, since commits keep it so.
"""

from collections.abc import Callable, Mapping
from sqlite3 import Connection

from mail.errors import Refused
from mail.mailbox import consistency_check as rules
from mail.mailbox.counts import Recount
from schemas.consistency import COUNTS, LISTS, ConsistencyReport, ExpectedMessage, Rebuild
from schemas.events.mailbox_commands import RebuildViews
from schemas.mail import HeaderSummary
from schemas.mailbox import MailboxState
from stores.sqlite.mail_store import consistency_check as checks
from stores.sqlite.mail_store import journal_and_rows as rows
from stores.sqlite.mail_store import rebuild_tables as scratch
from stores.sqlite.mail_store.consistency_check import CheckStep
from stores.sqlite.mail_store.list_rows import MEMBER, PLACE, UID
from stores.sqlite.mail_store.rebuild_tables import TOLD

STEP_MAX = 200  # lines in one step: 40 ms of the store's time on a busy machine
_RANGE = 500  # lines in memory during a check


def _clear(look: CheckStep) -> bool:
    gone = scratch.clear(look.connection, look.box.key, look.room)
    look.room -= gone + 1
    return not gone


_Phase = Callable[[CheckStep], bool]  # whether the phase is done
_PHASES: dict[str, tuple[str, _Phase]] = {  # in order, with the part that asks for them
    "clear": ("", _clear),
    "records": ("", checks.copy_records),
    "entries": ("", checks.apply_entries),
    "counts": (COUNTS, checks.counts),
    "rows": (LISTS, checks.message_rows),
    "place": (LISTS, checks.listing(PLACE)),
    "uid": (LISTS, checks.listing(UID)),
    "member": (LISTS, checks.listing(MEMBER)),
    "threads": (LISTS, checks.bindings),
    "end": ("", _clear),
}
_COMPARING = ("counts", "rows", "place", "uid", "member", "threads")


def check(connection: Connection, user_id: str) -> ConsistencyReport:
    """Every difference of one mailbox, as of the moment of the connection's transaction."""
    box = rows.box_of(connection, user_id)
    if not box.key:
        return ConsistencyReport()
    scratch.make_temporary(connection)
    look = CheckStep(
        connection=connection, user_id=user_id, box=box, parts=(LISTS, COUNTS), mend=False,
        room=_RANGE, state=MailboxState(), recount=Recount(),
    )  # fmt: skip
    try:
        for phase in ("records", "entries", *_COMPARING):
            look.after = ()
            while not _PHASES[phase][1](look):
                look.room = _RANGE
            look.room = _RANGE
    except rules.JournalDamaged as error:
        return ConsistencyReport(differences=(rules.journal_difference(error),))
    messages: list[ExpectedMessage] = []
    after = ""
    while found := TOLD.behind(connection, box.key, after, _RANGE):
        messages += map(rules.expected_message, found)
        after = found[-1].message_id
    return ConsistencyReport(
        differences=tuple(sorted(set(look.differences))),
        messages=tuple(messages),
        without_row=tuple(look.without_row),
    )


def rebuild(
    connection: Connection, order: RebuildViews, heads: Mapping[str, HeaderSummary], step_max: int
) -> Rebuild:
    """Do the order's step; or tell the progress, if the step is done or is not the next one.

    JournalDamaged; Refused: another rebuild took its place, or the state cannot be read.
    """
    box = rows.box_of(connection, order.user_id)
    if not box.key:
        return Rebuild(rebuild_id=order.rebuild_id, parts=order.parts, is_finished=True)
    before = scratch.progress(connection, box.key)
    if before is None or before.rebuild_id != order.rebuild_id:
        if order.step:
            raise Refused("another rebuild of this mailbox has begun since")
        before = Rebuild(rebuild_id=order.rebuild_id, parts=order.parts, phase="clear")
    if before.is_finished or order.step != before.step:
        return before
    if COUNTS not in before.parts and checks.state_of(connection, order.user_id) is None:
        raise Refused("the state cannot be read: rebuild the counts first")
    look = CheckStep(
        connection=connection, user_id=order.user_id, box=box, parts=before.parts, mend=True,
        room=step_max, state=before.state, recount=Recount(before.counts, before.usage),
        after=before.after, heads=heads,
    )  # fmt: skip
    made = _after(before, look, _advance(look, before.phase))
    scratch.put_progress(connection, box.key, made)
    return made


def _advance(look: CheckStep, phase: str) -> str | None:
    """Work while there is room; the phase to go on with, None at the end."""
    order = [name for name, (part, _) in _PHASES.items() if not part or part in look.parts]
    if phase in _COMPARING and not checks.apply_entries(look):
        return phase
    for name in order[order.index(phase) :]:
        is_done = False
        while not is_done:
            if look.room <= 0:
                return name
            is_done = _PHASES[name][1](look)
        look.after = ()
    return None


def _after(before: Rebuild, look: CheckStep, phase: str | None) -> Rebuild:
    return Rebuild(
        rebuild_id=before.rebuild_id,
        parts=before.parts,
        step=before.step + 1,
        phase=phase or "",
        after=look.after,
        state=look.state,
        counts=look.recount.counts,
        usage=look.recount.usage,
        lacking=look.lacking,
        mended=before.mended + len(set(look.differences)),
        is_finished=phase is None,
    )
