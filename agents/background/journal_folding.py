"""fold: the mailbox's own upkeep of its journal: entries that are old enough go into the snapshot.

Reads the command mailbox.fold_journal, which a mailbox publishes to itself behind every FOLD_EVERY
changes. Writes the mail store only. Emits the next step while entries are due.
An entry whose event may still have to be published is never folded: nothing is folded while the
mailbox's last entry stands at or behind the command's own position, and the last KEPT entries stay.
An idle mailbox publishes nothing, and so keeps its entries.
The store unreachable: Transient. A journal that cannot be folded: logged, passed over; `postriver
verify` shows it. A wall clock that was set: logged, passed over.
Safe to repeat: what is folded is folded.
"""

import logging
from collections.abc import Sequence

import msgspec

from agents.ports import MailboxPorts
from mail.ids import derived_id
from mail.mailbox.consistency_check import JournalDamaged
from mail.ports import Attempt
from schemas.events.mailbox_commands import FoldJournal
from schemas.events.mailbox_events import MailboxChanged, Position
from schemas.events.unions import Event
from schemas.mailbox import MailboxState

FOLD_EVERY = 64  # changes of a mailbox; a step folds up to 100
KEPT = 100  # last entries of a mailbox, however old
_LOG = logging.getLogger(__name__)


def fold_after(entry: MailboxChanged) -> tuple[FoldJournal, ...]:
    """The command to publish behind `entry`; a function of the entry, so a repeat is the same."""
    if entry.seq % FOLD_EVERY or entry.seq <= KEPT:
        return ()
    command = FoldJournal(
        command_id=derived_id(entry.command_id, "fold"),
        user_id=entry.user_id,
        domain_id=entry.domain_id,
        at_ms=entry.at_ms,
    )
    return (command,)


async def fold(event: FoldJournal, work: Attempt, ports: MailboxPorts) -> Sequence[Event]:
    if reason := ports.clock.moved():
        _LOG.error("user %s: the journal is not folded: %s", event.user_id, reason)
        return ()
    state = await ports.store.load(event.user_id)
    if not _is_published(state, work.position):
        return ()
    before_ms = min(event.at_ms, ports.clock.now_ms()) - ports.feed_ms
    try:
        count = await ports.store.fold(event.user_id, before_ms=before_ms, to_seq=state.seq - KEPT)
    except JournalDamaged as error:
        _LOG.error("user %s: the journal is not folded: %s", event.user_id, error.detail)
        return ()
    if not count:
        return ()
    return (msgspec.structs.replace(event, command_id=derived_id(event.command_id, "fold")),)


def _is_published(state: MailboxState, position: Position) -> bool:
    """Whether every event of the mailbox is: commands of one user are handled one after another.

    A command is handled when the outputs of those before it in the log are acknowledged. What
    stands in another log, or further on in this one, proves nothing.
    """
    same_log = (state.epoch, state.partition) == (position.epoch, position.partition)
    return same_log and state.offset < position.offset
