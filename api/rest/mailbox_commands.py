"""Orders to the mailbox's one writer, answered when their effect can be seen.

The subscription stands before anything is published, so that no answer is missed. The event comes
after the store was written: what is read then has the change.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import Problem, not_found
from api.rest.conditional_requests import changed_meanwhile
from api.rest.responses import CommandAccepted, json_answer
from mail.clock import now_ms
from mail.ids import new_id
from schemas.events import mailbox_events
from schemas.events.mailbox_commands import Command
from schemas.events.mailbox_events import CommandAnswered, MailboxEvent


def of_caller(call: AuthenticatedRequest) -> dict[str, Any]:
    """The fields that every command has."""
    return {
        "command_id": new_id(),
        "user_id": call.user_id,
        "domain_id": call.caller.user.domain_id,
        "at_ms": now_ms(),
    }


async def carry_out(
    call: AuthenticatedRequest, commands: Sequence[Command]
) -> list[MailboxEvent | None]:
    """Publish, and wait for the event of each; None for one that is not seen in time."""
    loop = asyncio.get_running_loop()
    answers: dict[str, asyncio.Future[MailboxEvent]] = {
        command.command_id: loop.create_future() for command in commands
    }

    def sink(event: MailboxEvent) -> None:
        answer = answers.get(event.answers)
        if answer is not None and not answer.done():
            answer.set_result(event)

    unsubscribe = call.edge.ports.feed.subscribe(call.user_id, sink)
    try:
        await call.edge.ports.publisher.publish(*commands)
        await asyncio.wait(answers.values(), timeout=call.edge.config.answer_timeout_s)
    finally:
        unsubscribe()
    return [answer.result() if answer.done() else None for answer in answers.values()]


async def carry_out_one(call: AuthenticatedRequest, command: Command) -> MailboxEvent | None:
    """The event; None when it is not seen in time. 404, 409, 412: why nothing was changed."""
    (event,) = await carry_out(call, [command])
    if isinstance(event, CommandAnswered):
        _check(call.request, event)
    return event


def accepted(place: str) -> web.Response:
    return json_answer(CommandAccepted(location=place), status=202, headers={"Location": place})


def _check(request: web.Request, answer: CommandAnswered) -> None:
    """`unchanged` is as good as changed."""
    match answer.outcome:
        case mailbox_events.NOT_FOUND:
            raise not_found()
        case mailbox_events.CONFLICT:
            raise changed_meanwhile(request)
        case mailbox_events.REFUSED:
            raise Problem(409, "refused", answer.detail)
