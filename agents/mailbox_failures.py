"""mailbox: what is done about a failure that nobody foresaw, so that it stops one mailbox at most.

The mailbox's views are rebuilt from its journal, in its own turn, and the command is tried again.
If it still fails the harness repeats it; after TRIES_MAX tries the user is set aside: this command
and his later ones are parked, unchanged and in order, until an operator has rebuilt the mailbox.
A later command must not be carried out around a missing one, so the mark outlives the process.
A delivery that fails in a mailbox that is sound is parked alone: it depends on no other command,
and no sender must be able to have a mailbox set aside.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from agents.mailbox_rebuild import mend
from agents.ports import MailboxPorts
from mail.errors import Fatal, Poison, Transient
from mail.ids import derived_id
from mail.mailbox.command_rules import REBUILT, REFUSED
from schemas.consistency import COUNTS, LISTS
from schemas.events.mailbox_commands import Deliver, RebuildViews, SequencedCommand
from schemas.events.mailbox_events import CommandAnswered
from schemas.events.unions import Event

T = TypeVar("T")
TRIES_MAX = 3  # within about 3 s; the harness would park the command alone after five
_log = logging.getLogger(__name__)


class MailboxSetAside(Poison):
    """The user's commands are parked until the mailbox has been rebuilt."""

    def __init__(self, user_id: str, why: str) -> None:
        super().__init__(f"mailbox of user {user_id} is set aside {why}")


class CommitFailed(Exception):
    """A commit failed, and its entry is not in the journal."""


class StateBehind(Exception):
    """Rows or journal of a mailbox are newer than its state, and no other writer is at work."""


async def carried_out(
    event: SequencedCommand, ports: MailboxPorts, step: Callable[[], Awaitable[T]]
) -> T:
    """The result of `step`, all that a command does up to the journal. MailboxSetAside.

    What else is unforeseen is raised as it came, for the harness to try again.
    """
    try:
        result = await step()
    except (Transient, Poison, Fatal):
        raise
    except Exception as error:  # noqa: BLE001  (whatever it is, it must stay this mailbox's)
        result = await _again(event, ports, step, error)
    ports.aside.calm(event.user_id)
    return result


async def _again(
    event: SequencedCommand, ports: MailboxPorts, step: Callable[[], Awaitable[T]], error: Exception
) -> T:
    trouble = ports.aside.trouble(event.user_id, event.command_id)
    if not trouble.tries:
        _log.error("command %s failed: %r", event.command_id, error, exc_info=error)
        trouble.is_sound = await _rebuilt(event, ports)
        try:
            return await step()
        except (Transient, Poison, Fatal):
            raise
        except Exception as again:  # noqa: BLE001  (likewise)
            error = again
    trouble.tries += 1
    is_alone = isinstance(event, Deliver) and trouble.is_sound
    if trouble.tries < TRIES_MAX or (is_alone and not isinstance(error, CommitFailed)):
        raise error
    raise await _set_aside(event, ports, error) from error


async def _rebuilt(event: SequencedCommand, ports: MailboxPorts) -> bool:
    """Rebuild all views, unless they are too many for one turn; whether nothing differed."""
    command = RebuildViews(
        command_id=derived_id(event.command_id, "mend"),
        user_id=event.user_id,
        domain_id=event.domain_id,
        parts=(LISTS, COUNTS),
        at_ms=event.at_ms,
    )
    try:
        if (await ports.store.usage(event.user_id)).messages > ports.mend_max_messages:
            _log.error("mailbox of user %s is too large to be rebuilt in a turn", event.user_id)
            return False
        count = await mend(command, ports)
    except (Transient, Fatal):
        raise
    except Exception as error:  # noqa: BLE001  (the journal cannot be read, or worse)
        _log.error("mailbox of user %s cannot be rebuilt: %r", event.user_id, error)
        return False
    if count:
        _log.error("mailbox of user %s: %d differences mended", event.user_id, count)
    return not count


async def _set_aside(event: SequencedCommand, ports: MailboxPorts, error: Exception) -> Poison:
    cause = error.__cause__ if isinstance(error, CommitFailed) else error
    await ports.aside.add(event.user_id, f"command {event.command_id} failed: {cause!r}")
    ports.aside.calm(event.user_id)
    why = await ports.aside.why(event.user_id) or ""
    _log.critical("mailbox of user %s is set aside %s", event.user_id, why)
    return MailboxSetAside(event.user_id, why)


async def lifted(outputs: Sequence[Event], ports: MailboxPorts) -> Sequence[Event]:
    """The outputs of a rebuild's step; after the last one its user is no longer set aside."""
    return [
        await _lifted(output, ports) if isinstance(output, CommandAnswered) else output
        for output in outputs
    ]


async def _lifted(answer: CommandAnswered, ports: MailboxPorts) -> CommandAnswered:
    user_id = answer.user_id
    if answer.outcome == REFUSED or await ports.aside.why(user_id) is None:
        return answer
    differences = (await ports.store.check(user_id)).differences
    if differences:
        first = differences[0]
        detail = f"still set aside: {len(differences)} differences, such as {first.part}: "
        return msgspec.structs.replace(answer, outcome=REFUSED, detail=detail + first.what)
    await ports.aside.lift(user_id)
    _log.warning("mailbox of user %s is no longer set aside", user_id)
    said = answer.detail or "nothing differed"
    detail = f"{said}; no longer set aside: redrive its dead letters"
    return msgspec.structs.replace(answer, outcome=REBUILT, detail=detail)
