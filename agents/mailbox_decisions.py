"""What each command needs from the store before the rules decide it (mail/mailbox.py)."""

from collections.abc import Iterable, Mapping

from agents.ports import MailboxPorts
from mail import folder_orders
from mail import mailbox as rules
from mail.draft import CHANGES_MAX
from mail.errors import FeedGone
from mail.holding import holder_of
from mail.mailbox import Outcome
from mail.threads import thread_keys
from schemas.events import (
    Change,
    ChangeFolder,
    ChangeMessages,
    CommandAnswered,
    CreateFolder,
    Deliver,
    DestroyMessages,
    FolderWide,
    MailboxChanged,
    MessageOrder,
    Position,
    TrashMessages,
)
from schemas.mailbox import MailboxState, Message


class Ahead(Exception):
    """A row is newer than the state."""


async def decide(
    event: Change, state: MailboxState, position: Position, ports: MailboxPorts
) -> Outcome | MailboxChanged:
    """What the rules say of a command that was not done before. Ahead; Poison."""
    match event:
        case Deliver():
            return await _deliver(event, state, position, ports)
        case ChangeMessages() | TrashMessages() | DestroyMessages():
            rows = await _rows(event, state, ports)
            return _to_messages(event, state, rows, position)
        case CreateFolder():
            return rules.create_folder(state, event, position)
        case ChangeFolder():
            return rules.change_folder(state, event, position)
        case _:
            return await _chunk(event, state, position, ports)


def _to_messages(
    event: MessageOrder, state: MailboxState, rows: Mapping[str, Message], position: Position
) -> Outcome:
    match event:
        case ChangeMessages():
            return rules.change_messages(state, rows, event, position)
        case TrashMessages():
            return rules.trash_messages(state, rows, event, position)
        case DestroyMessages():
            return rules.destroy_messages(state, rows, event, position)


async def _deliver(
    event: Deliver, state: MailboxState, position: Position, ports: MailboxPorts
) -> Outcome | MailboxChanged:
    keys = thread_keys(event.head)
    row, bound = await ports.store.before_delivery(event.user_id, event.message_id, keys)
    if row is not None:
        _check([row], state)
        if row.destroyed:  # `route` has held the content again
            await release([row], ports)
        return await _delivered_before(event, ports)
    return rules.deliver(state, event, position, keys, bound)


async def _delivered_before(
    event: Deliver, ports: MailboxPorts
) -> MailboxChanged | CommandAnswered:
    """The same command again: its output again. Another one for the same message: no change."""
    try:
        entry = await ports.store.by_command(event.user_id, event.command_id)
    except FeedGone:
        entry = None
    return entry or rules.answered(event, rules.UNCHANGED)


async def _rows(
    event: MessageOrder, state: MailboxState, ports: MailboxPorts
) -> dict[str, Message]:
    rows = await ports.store.rows(event.user_id, event.message_ids[: CHANGES_MAX + 1])
    _check(rows.values(), state)
    return rows


async def _chunk(
    order: FolderWide, state: MailboxState, position: Position, ports: MailboxPorts
) -> Outcome:
    chunk = folder_orders.begin(state, order, position, chunk_max=ports.chunk_max)
    if isinstance(chunk, CommandAnswered):
        return chunk
    while not chunk.is_done:
        rows = await ports.store.by_uid(
            order.user_id, order.folder_id, after_uid=chunk.after_uid, limit=ports.chunk_max
        )
        _check(rows, state)
        chunk.take(rows)
    return chunk.outcome()


def _check(rows: Iterable[Message], state: MailboxState) -> None:
    if any(row.changed_seq > state.seq for row in rows):
        raise Ahead


async def release(rows: Iterable[Message], ports: MailboxPorts) -> None:
    """What was destroyed holds its content no more; again after a crash, which changes nothing."""
    await ports.holders.release_all(
        (row.mail_id, holder_of(row.mail_id, row.user_id, row.message_id)) for row in rows
    )
