"""Journal folding: a part of the mailbox stage that moves old journal entries into the snapshot.

Reads the command mailbox.fold_journal, which the mailbox stage publishes after every FOLD_EVERY
steps of a mailbox. Writes the mail store only. Emits the next command while entries are due.
An entry whose event may still have to be published is never folded: nothing is folded while the
mailbox's last entry is at or after the command's own position, and the last KEPT entries stay.
An idle mailbox publishes no commands and therefore keeps its entries.

The store unreachable: Transient.
A journal that cannot be folded: logged and skipped; `postriver verify` reports it.
A wall clock that was set: logged and skipped.
Safe to repeat: an entry that is folded is not there to be folded again.
"""

import logging
from collections.abc import Sequence

import msgspec

from agents.ports import MailboxPorts
from mail.ids import derived_command_id
from mail.mailbox.consistency_check import JournalDamaged
from mail.ports import Attempt
from schemas.events.mailbox_commands import FoldJournal
from schemas.events.mailbox_events import MailboxChanged, Position
from schemas.events.unions import Event
from schemas.mailbox import MailboxState

FOLD_EVERY = 64  # steps of a mailbox; one command folds up to 100 entries
KEPT = 100  # last entries of a mailbox, regardless of age
_LOG = logging.getLogger(__name__)


def fold_after(entry: MailboxChanged) -> tuple[FoldJournal, ...]:
    """The command to publish after `entry`, if one is due; a repeat gives the same command."""
    if entry.seq % FOLD_EVERY or entry.seq <= KEPT:
        return ()
    command = FoldJournal(
        command_id=derived_command_id(entry.command_id, "fold"),
        user_id=entry.user_id,
        domain_id=entry.domain_id,
        at_ms=entry.at_ms,
    )
    return (command,)


async def fold(event: FoldJournal, work: Attempt, ports: MailboxPorts) -> Sequence[Event]:
    """Fold a bounded number of entries; return the next command while entries are due."""
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
    return (
        msgspec.structs.replace(event, command_id=derived_command_id(event.command_id, "fold")),
    )


def _is_published(state: MailboxState, position: Position) -> bool:
    """Whether all events of the mailbox up to `state` are published.

    Commands of one user are handled in order, each after the outputs of the earlier commands are
    acknowledged. So a state from an earlier position of the same log proves it; a state from
    another log, or from a later position, proves nothing.
    """
    same_log = (state.epoch, state.partition) == (position.epoch, position.partition)
    return same_log and state.offset < position.offset
