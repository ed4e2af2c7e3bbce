"""Send commands to the mailbox's single writer and wait until their effect can be read.

The subscription to live events begins before the commands are published, so no event is missed.
The writer emits an event after the mail store has the change: a read after the event shows it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import Problem, not_found
from api.rest.conditional_requests import changed_meanwhile
from api.rest.responses import json_response
from mail.clock import now_ms
from mail.ids import new_command_id
from schemas.events import mailbox_events
from schemas.events.mailbox_commands import Command
from schemas.events.mailbox_events import CommandAnswered, MailboxEvent
from schemas.ids import CommandId


class CommandAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The command is durable but not applied yet; `location` will show its effect."""

    status: str = "accepted"
    location: str


ACCEPTED = (202, CommandAccepted)  # for Route.also
BODY_PROBLEMS = (413, 415)  # of a request with a body
COMMAND_PROBLEMS = (403, 404, 409)


def command_fields(call: AuthenticatedRequest) -> dict[str, Any]:
    """Fields that every command of the caller has, with a new command id."""
    return {
        "command_id": new_command_id(),
        "user_id": call.user_id,
        "domain_id": call.caller.user.domain_id,
        "at_ms": now_ms(),
    }


async def execute_all(
    call: AuthenticatedRequest, commands: Sequence[Command]
) -> list[MailboxEvent | None]:
    """Publish `commands`; return the event of each, None where it took over `answer_timeout_s`."""
    loop = asyncio.get_running_loop()
    answers: dict[CommandId, asyncio.Future[MailboxEvent]] = {
        command.command_id: loop.create_future() for command in commands
    }

    def sink(event: MailboxEvent) -> None:
        answer = answers.get(event.answers)
        if answer is not None and not answer.done():
            answer.set_result(event)

    unsubscribe = call.context.ports.feed.subscribe(call.user_id, sink)
    try:
        await call.context.ports.publisher.publish(*commands)
        await asyncio.wait(answers.values(), timeout=call.context.config.answer_timeout_s)
    finally:
        unsubscribe()
    return [answer.result() if answer.done() else None for answer in answers.values()]


async def execute(call: AuthenticatedRequest, command: Command) -> MailboxEvent | None:
    """Publish `command`; return its event, None after `answer_timeout_s`.

    The outcome `unchanged` is a success. Raises Problem: 404 not found; 409 refused, or changed
    meanwhile; 412 changed meanwhile, when the request has If-Match.
    """
    (event,) = await execute_all(call, [command])
    if isinstance(event, CommandAnswered):
        _raise_for_outcome(call.request, event)
    return event


def accepted(location: str) -> web.Response:
    """202 with the path at which the effect will show."""
    return json_response(
        CommandAccepted(location=location), status=202, headers={"Location": location}
    )


def _raise_for_outcome(request: web.Request, answer: CommandAnswered) -> None:
    match answer.outcome:
        case mailbox_events.NOT_FOUND:
            raise not_found()
        case mailbox_events.CONFLICT:
            raise changed_meanwhile(request)
        case mailbox_events.REFUSED:
            raise Problem(409, "refused", answer.detail)
