"""Send commands to the mailbox's single writer and wait until their effect can be read.

The subscription to live events begins before the commands are published, so no event is missed.
The writer emits an event after the mail store has the change: a read after the event shows it.
A server maps a CommandFailed to replies of its protocol.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from mail.clock import now_ms
from mail.errors import Refused
from mail.ids import new_command_id
from mail.ports import LiveEvents, Publisher
from schemas.directory import User
from schemas.events import mailbox_events
from schemas.events.mailbox_commands import Command
from schemas.events.mailbox_events import AnswerOutcome, CommandAnswered, MailboxEvent
from schemas.events.unions import Event
from schemas.ids import CommandId, UserId

ANSWER_TIMEOUT_S = 10.0  # for the event of a command
_FAILURES = {mailbox_events.NOT_FOUND, mailbox_events.CONFLICT, mailbox_events.REFUSED}


class CommandFailed(Refused):
    """The command changed nothing: `not_found`, `conflict` or `refused`."""

    def __init__(self, outcome: AnswerOutcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome


class MailboxCommands:
    """Publishes the commands of one process, and waits for their events."""

    def __init__(
        self, publisher: Publisher, feed: LiveEvents, *, answer_timeout_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        self._publisher = publisher
        self._feed = feed
        self._answer_timeout_s = answer_timeout_s

    async def execute_all(
        self, user_id: UserId, commands: Sequence[Command]
    ) -> list[MailboxEvent | None]:
        """Publish `commands` of one user; return the event of each, None after the time limit.

        Raises BrokerUnavailable: the commands may be executed or not.
        """
        return await self.publish(user_id, commands, [each.command_id for each in commands])

    async def publish(
        self, user_id: UserId, events: Sequence[Event], answer_ids: Sequence[CommandId]
    ) -> list[MailboxEvent | None]:
        """Publish `events` of one user; return the mailbox events that answer `answer_ids`.

        None for an answer that is not seen within the time limit. Raises as `execute_all`.
        """
        loop = asyncio.get_running_loop()
        answers: dict[CommandId, asyncio.Future[MailboxEvent]] = {
            answer_id: loop.create_future() for answer_id in answer_ids
        }

        def sink(event: MailboxEvent) -> None:
            answer = answers.get(event.answers)
            if answer is not None and not answer.done():
                answer.set_result(event)

        unsubscribe = self._feed.subscribe(user_id, sink)
        try:
            await self._publisher.publish(*events)
            await asyncio.wait(answers.values(), timeout=self._answer_timeout_s)
        finally:
            unsubscribe()
        return [answer.result() if answer.done() else None for answer in answers.values()]

    async def execute(self, command: Command) -> MailboxEvent | None:
        """Publish `command`; return its event, None after the time limit.

        The outcome `unchanged` is a success. Raises CommandFailed; BrokerUnavailable.
        """
        (event,) = await self.execute_all(command.user_id, [command])
        if isinstance(event, CommandAnswered) and event.outcome in _FAILURES:
            raise CommandFailed(event.outcome, event.detail)
        return event


def command_fields(user: User) -> dict[str, Any]:
    """Fields that every command of `user` has, with a new command id."""
    return {
        "command_id": new_command_id(),
        "user_id": user.user_id,
        "domain_id": user.domain_id,
        "at_ms": now_ms(),
    }
