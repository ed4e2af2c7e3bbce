"""Rules of deliveries and of batches: new messages, alone or together with changes of others."""

from collections.abc import Collection, Iterable, Mapping

from mail.errors import Poison
from mail.mailbox import message_rules
from mail.mailbox.command_rules import CHANGED_MEANWHILE, CommandOutcome, answer_of, outcome_of
from mail.mailbox.commit_builder import CHANGES_MAX, CommitBuilder
from mail.mailbox.folders import exists
from mail.mailbox.keywords import normal_keywords
from mail.mailbox.message_rules import NO_FOLDER, PLACES_MAX
from mail.mailbox.threads import bindings, thread_for, thread_keys
from schemas.events.mailbox_commands import Batch, BatchPart, Deliver, MessageCommand
from schemas.events.mailbox_events import CONFLICT, REFUSED, CommandAnswered, Position
from schemas.ids import FolderId, MessageId, ThreadId
from schemas.mailbox import INBOX, MailboxState, Message


def deliver(
    state: MailboxState,
    command: Deliver,
    position: Position,
    keys: tuple[bytes, ...],
    bound: Mapping[bytes, ThreadId],
) -> CommandOutcome:
    """Add a message that does not exist yet to its folders.

    `keys` are the message's thread keys; `bound` maps those that belong to a thread to its id.
    Raises Poison: a keyword is invalid, or there are too many keywords or folders.
    """
    builder = CommitBuilder(state, command, position)
    fault = fault_of(_folders(command), command.keywords)
    if fault:
        raise Poison(f"command {command.command_id}: {fault}")
    if not _folders_exist(state, command):
        return CommandAnswered.to(command, REFUSED, NO_FOLDER)
    _create(builder, state, command, keys, dict(bound))
    return builder.commit()


def batch(
    state: MailboxState,
    rows: Mapping[MessageId, Message],
    bound: Mapping[bytes, ThreadId],
    command: Batch,
    position: Position,
) -> CommandOutcome:
    """Apply the parts in their order. `rows` and `bound` are of all messages of the batch."""
    if fault := _fault_of_batch(command):
        return CommandAnswered.to(command, REFUSED, fault)
    latest_seq = state.type_seqs.messages or state.seq
    if command.if_messages_seq is not None and latest_seq > command.if_messages_seq:
        return CommandAnswered.to(command, CONFLICT, CHANGED_MEANWHILE)
    builder, threads = CommitBuilder(state, command, position), dict(bound)
    for part in command.parts:
        if not isinstance(part, Deliver):
            _apply(builder, state, rows, part)
        elif part.message_id not in rows:
            _deliver_part(builder, state, part, threads)
    if command.is_atomic and builder.failures:
        return answer_of(command, builder.failures)
    return outcome_of(builder, command)


def fault_of(folder_ids: Collection[FolderId], keywords: Iterable[str]) -> str:
    """Why a new message cannot have these folders and keywords; "" if it can."""
    normal = normal_keywords(keywords)
    if normal is None:
        return "a keyword is invalid"
    if len(folder_ids) > PLACES_MAX:
        return "there are too many folders"
    return message_rules.fault_of_keywords(normal)


def ids_of(part: BatchPart) -> tuple[MessageId, ...]:
    """The messages that a part names."""
    return (part.message_id,) if isinstance(part, Deliver) else part.message_ids


def keys_of(command: Batch) -> tuple[bytes, ...]:
    """The thread keys of the messages that a batch delivers, each once."""
    delivered = (part for part in command.parts if isinstance(part, Deliver))
    keys = (key for part in delivered for key in thread_keys(part.head))
    return tuple(dict.fromkeys(keys))


def _apply(
    builder: CommitBuilder,
    state: MailboxState,
    rows: Mapping[MessageId, Message],
    part: MessageCommand,
) -> None:
    fault = message_rules.fault_of(state, part)
    if not fault:
        message_rules.apply(builder, rows, part)
    for message_id in part.message_ids if fault else ():
        builder.refuse(message_id, fault)


def _deliver_part(
    builder: CommitBuilder, state: MailboxState, part: Deliver, threads: dict[bytes, ThreadId]
) -> None:
    fault = fault_of(_folders(part), part.keywords) or (
        "" if _folders_exist(state, part) else NO_FOLDER
    )
    if fault:
        builder.refuse(part.message_id, fault)
    else:
        _create(builder, state, part, thread_keys(part.head), threads)


def _create(
    builder: CommitBuilder,
    state: MailboxState,
    command: Deliver,
    keys: tuple[bytes, ...],
    threads: dict[bytes, ThreadId],
) -> None:
    """Add the message, and bind its thread keys in `threads`."""
    thread_id = thread_for(command.message_id, keys, threads)
    new_bindings = bindings(thread_id, keys, threads)
    threads |= new_bindings
    keywords = normal_keywords(command.keywords) or frozenset()
    row = Message(
        message_id=command.message_id,
        user_id=command.user_id,
        domain_id=command.domain_id,
        mail_id=command.mail_id,
        places={},
        keywords=tuple(sorted(keywords)),
        created_seq=builder.seq,
        changed_seq=builder.seq,
        received_at_ms=command.received_at_ms,
        content=command.content,
        head=command.head,
        verdict=command.verdict,
        hops=command.hops,
        thread_id=thread_id,
        draft_id=command.draft_id,
    )
    builder.create(row, (id_ if exists(state, id_) else INBOX for id_ in _folders(command)))
    builder.bind(new_bindings)


def _folders(command: Deliver) -> tuple[FolderId, ...]:
    return (command.folder_id, *command.more_folder_ids)


def _folders_exist(state: MailboxState, command: Deliver) -> bool:
    """Whether the command may be carried out: without `strict` the inbox replaces a folder."""
    return not command.strict or all(exists(state, id_) for id_ in _folders(command))


def _fault_of_batch(command: Batch) -> str:
    ids = [message_id for part in command.parts for message_id in ids_of(part)]
    if len(ids) > CHANGES_MAX:
        return f"At most {CHANGES_MAX} messages at once."
    return "A message is named twice." if len(set(ids)) < len(ids) else ""
