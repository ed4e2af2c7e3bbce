"""mailbox, rebuild: views rewritten from the journal by the mailbox's single writer.

One command is one bounded step (decision 0041). It publishes the command of the next step, and
other commands of the mailbox are applied between the steps. The last step is answered: `rebuilt`
with the number of repaired differences, or `unchanged`.
A message without a row gets the header summary of its content. If the content is missing too, it
gets an empty summary that is marked as not parsed.
`refused`: the journal is damaged, or only lists were to be rebuilt and the state cannot be read.
Safe to repeat: the store knows the last step of a rebuild; a step that is done changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from agents.content_access import MemoryBudget, reading
from agents.ports import MailboxPorts
from mail.errors import ContentMissing, Refused
from mail.ids import derived_command_id, new_command_id
from mail.mailbox.consistency_check import UNKNOWN
from mail.ports import Attempt, ContentStore, Parser
from schemas.consistency import ExpectedMessage, Rebuild
from schemas.events.mailbox_commands import RebuildViews
from schemas.events.mailbox_events import REBUILT, REFUSED, UNCHANGED, CommandAnswered
from schemas.events.unions import Event
from schemas.ids import MessageId
from schemas.mail import HeaderSummary


async def rebuild(event: RebuildViews, _work: Attempt, ports: MailboxPorts) -> Sequence[Event]:
    """Do one step; return the command of the next step, or the answer.

    The state table stays in doubt, because the rebuild may have changed the counts.
    """
    ports.states.doubt(event.user_id)
    try:
        progress = await rebuild_step(event, ports)
    except Refused as error:
        return (CommandAnswered.to(event, REFUSED, error.detail),)
    return (_answer(event, progress) if progress.is_finished else next_step(event, progress),)


async def repair(event: RebuildViews, ports: MailboxPorts) -> int:
    """Do all steps of a rebuild within one event; return the number of repaired differences.

    Each step is a transaction of its own, so that other mailboxes do not wait for all of them.
    Raises Refused: the mailbox cannot be rebuilt.
    """
    event = msgspec.structs.replace(
        event, command_id=new_command_id()
    )  # not a repeat of an earlier rebuild
    progress = await rebuild_step(event, ports)
    while not progress.is_finished:
        progress = await rebuild_step(next_step(event, progress), ports)
    return progress.mended


async def rebuild_step(event: RebuildViews, ports: MailboxPorts) -> Rebuild:
    """Do one step with the header summaries that it needs; return the progress.

    Raises Refused: the step cannot be done.
    """
    before = await ports.store.rebuilding(event.user_id)
    is_next = before and (before.rebuild_id, before.step) == (event.rebuild_id, event.step)
    messages = before.lacking if before and is_next else ()
    reader = HeadReader(ports.contents, ports.parser, ports.budget)
    heads = await reader.heads(messages)
    return await ports.store.rebuild(event, heads)


def next_step(event: RebuildViews, progress: Rebuild) -> RebuildViews:
    """The command of the next step; its id is derived, so a repeat makes the same command."""
    return msgspec.structs.replace(
        event,
        command_id=derived_command_id(progress.rebuild_id, "step", str(progress.step)),
        origin_id=progress.rebuild_id,
        step=progress.step,
    )


def _answer(event: RebuildViews, progress: Rebuild) -> CommandAnswered:
    if not progress.mended:
        return CommandAnswered.to(event, UNCHANGED)
    return CommandAnswered.to(event, REBUILT, f"{progress.mended} differences repaired")


@dataclass(frozen=True, slots=True)
class HeadReader:
    """Reads header summaries from contents."""

    contents: ContentStore
    parser: Parser
    budget: MemoryBudget = field(default_factory=MemoryBudget)

    async def heads(self, messages: Sequence[ExpectedMessage]) -> dict[MessageId, HeaderSummary]:
        """The header summary of each message; UNKNOWN if the content is missing."""
        return {message.message_id: await self._head(message) for message in messages}

    async def _head(self, message: ExpectedMessage) -> HeaderSummary:
        try:
            async with reading(message.content, self.contents, self.budget) as content:
                return await self.parser.head(content)
        except ContentMissing:
            return UNKNOWN
