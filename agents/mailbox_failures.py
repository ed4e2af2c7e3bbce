"""mailbox, unexpected errors: recovery of one mailbox, so that an error stops no other mailbox.

The views are rebuilt from the journal while the mailbox's partition waits, and the command is tried
again. If it fails again, the harness repeats it. After ATTEMPTS_MAX attempts the user is set aside:
this command and the user's later commands are parked, unchanged and in order, until an operator has
rebuilt the mailbox. A command must not be applied before an earlier command of the user, so the
mark is stored and outlives the process.
A failing delivery to a sound mailbox is parked alone. It depends on no other command, and no sender
must be able to have a mailbox set aside.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from agents.mailbox_rebuild import repair
from agents.ports import MailboxPorts
from mail.errors import Fatal, Poison, Transient
from mail.ids import derived_command_id
from schemas.consistency import COUNTS, LISTS
from schemas.events.mailbox_commands import Deliver, RebuildViews, SequencedCommand
from schemas.events.mailbox_events import REBUILT, REFUSED, CommandAnswered
from schemas.events.unions import Event
from schemas.ids import UserId

T = TypeVar("T")
ATTEMPTS_MAX = 3  # within about 3 s; after five the harness would park the command alone
_log = logging.getLogger(__name__)


class MailboxSetAside(Poison):
    """The user's commands are parked until the mailbox has been rebuilt."""

    def __init__(self, user_id: UserId, why: str) -> None:
        super().__init__(f"mailbox of user {user_id} is set aside {why}")


class CommitFailed(Exception):
    """A commit failed, and its entry is not in the journal."""


class StateBehind(Exception):
    """Rows or journal of a mailbox are newer than its state, and no other writer is at work."""


async def apply_with_recovery(
    event: SequencedCommand, ports: MailboxPorts, apply: Callable[[], Awaitable[T]]
) -> T:
    """The result of `apply`, which does the command's work up to the journal.

    Raises MailboxSetAside: the command has failed ATTEMPTS_MAX times. Any other unexpected error is
    raised unchanged, for the harness to try the event again.
    """
    try:
        result = await apply()
    except (Transient, Poison, Fatal):
        raise
    except Exception as error:  # noqa: BLE001  (any error must stay with this mailbox)
        result = await _recover(event, ports, apply, error)
    ports.suspended.clear_failure(event.user_id)
    return result


async def _recover(
    event: SequencedCommand,
    ports: MailboxPorts,
    apply: Callable[[], Awaitable[T]],
    error: Exception,
) -> T:
    """Rebuild and try again at the first failure of a command; count failures after that."""
    failing = ports.suspended.failing_command(event.user_id, event.command_id)
    if not failing.failures:
        _log.error("command %s failed: %r", event.command_id, error, exc_info=error)
        failing.mailbox_is_sound = await _rebuild_views(event, ports)
        try:
            return await apply()
        except (Transient, Poison, Fatal):
            raise
        except Exception as second_error:  # noqa: BLE001  (likewise)
            error = second_error
    failing.failures += 1
    is_alone = isinstance(event, Deliver) and failing.mailbox_is_sound
    if failing.failures < ATTEMPTS_MAX or (is_alone and not isinstance(error, CommitFailed)):
        raise error
    raise await _set_aside(event, ports, error) from error


async def _rebuild_views(event: SequencedCommand, ports: MailboxPorts) -> bool:
    """Rebuild all views unless the mailbox is too large; return whether it was sound before."""
    command = RebuildViews(
        command_id=derived_command_id(event.command_id, "mend"),
        user_id=event.user_id,
        domain_id=event.domain_id,
        parts=(LISTS, COUNTS),
        at_ms=event.at_ms,
    )
    try:
        if (await ports.store.usage(event.user_id)).messages > ports.repair_max_messages:
            _log.error("mailbox of user %s is too large for an immediate rebuild", event.user_id)
            return False
        count = await repair(command, ports)
    except (Transient, Fatal):
        raise
    except Exception as error:  # noqa: BLE001  (the journal may be unreadable, for example)
        _log.error("mailbox of user %s cannot be rebuilt: %r", event.user_id, error)
        return False
    if count:
        _log.error("mailbox of user %s: %d differences repaired", event.user_id, count)
    return not count


async def _set_aside(event: SequencedCommand, ports: MailboxPorts, error: Exception) -> Poison:
    """Set the user aside; return the error to raise."""
    cause = error.__cause__ if isinstance(error, CommitFailed) else error
    await ports.suspended.add(event.user_id, f"command {event.command_id} failed: {cause!r}")
    ports.suspended.clear_failure(event.user_id)
    why = await ports.suspended.reason(event.user_id) or ""
    _log.critical("mailbox of user %s is set aside %s", event.user_id, why)
    return MailboxSetAside(event.user_id, why)


async def end_suspension(outputs: Sequence[Event], ports: MailboxPorts) -> Sequence[Event]:
    """The outputs of a rebuild step. The answer to the last step ends the user's suspension."""
    return [
        await _end_if_sound(output, ports) if isinstance(output, CommandAnswered) else output
        for output in outputs
    ]


async def _end_if_sound(answer: CommandAnswered, ports: MailboxPorts) -> CommandAnswered:
    """End the suspension if no view differs from the journal; the answer says what happened."""
    user_id = answer.user_id
    if answer.outcome == REFUSED or await ports.suspended.reason(user_id) is None:
        return answer
    report = await ports.store.check(user_id)
    if report.differences:
        first = report.differences[0]
        detail = f"still set aside: {report.number} differences, such as {first.part}: "
        return msgspec.structs.replace(answer, outcome=REFUSED, detail=detail + first.what)
    await ports.suspended.remove(user_id)
    _log.warning("mailbox of user %s is no longer set aside", user_id)
    result = answer.detail or "nothing differed"
    detail = f"{result}; no longer set aside: redrive its dead letters"
    return msgspec.structs.replace(answer, outcome=REBUILT, detail=detail)
