"""Commands of the caller to the mailbox's writer, and the HTTP responses to their outcomes.

edge/mailbox_commands.py publishes the commands and waits for their events.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import Problem, not_found
from api.rest.conditional_requests import changed_meanwhile
from api.rest.responses import json_response
from edge import mailbox_commands
from edge.deposits.deposit import Deposit, Deposited
from edge.mailbox_commands import CommandFailed
from schemas.events import mailbox_events
from schemas.events.mailbox_commands import Command
from schemas.events.mailbox_events import MailboxEvent


class CommandAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The command is durable but not applied yet; `location` will show its effect."""

    status: str = "accepted"
    location: str


ACCEPTED = (202, CommandAccepted)  # for Route.also
BODY_PROBLEMS = (413, 415)  # of a request with a body
DEPOSIT_PROBLEMS = (413, 422, 507)  # of a request that stores what the client sends
COMMAND_PROBLEMS = (403, 404, 409)


def command_fields(call: AuthenticatedRequest) -> dict[str, Any]:
    """Fields that every command of the caller has, with a new command id."""
    return mailbox_commands.command_fields(call.caller.user)


async def execute_all(
    call: AuthenticatedRequest, commands: Sequence[Command]
) -> list[MailboxEvent | None]:
    """Publish `commands`; return the event of each, None where it took over `answer_timeout_s`."""
    return await call.context.commands.execute_all(call.user_id, commands)


async def execute(call: AuthenticatedRequest, command: Command) -> MailboxEvent | None:
    """Publish `command`; return its event, None after `answer_timeout_s`.

    The outcome `unchanged` is a success. Raises Problem: 404 not found; 409 refused, or changed
    meanwhile; 412 changed meanwhile, when the request has If-Match.
    """
    try:
        return await call.context.commands.execute(command)
    except CommandFailed as failure:
        raise _problem(call.request, failure) from failure


async def deposit(call: AuthenticatedRequest, new: Deposit) -> Deposited:
    """Put a mail into the caller's mailbox; return its message.

    Raises Problem as `execute` does; errors of the depositor (edge/deposits/deposit.py) become 413,
    422, 503 and 507 in api/problems.py.
    """
    try:
        return await call.context.depositor.deposit(call.caller.user, new)
    except CommandFailed as failure:
        raise _problem(call.request, failure) from failure


def accepted(location: str) -> web.Response:
    """202 with the path at which the effect will show."""
    return json_response(
        CommandAccepted(location=location), status=202, headers={"Location": location}
    )


def _problem(request: web.Request, failure: CommandFailed) -> Problem:
    match failure.outcome:
        case mailbox_events.NOT_FOUND:
            return not_found()
        case mailbox_events.CONFLICT:
            return changed_meanwhile(request)
        case _:
            return Problem(409, "refused", failure.detail)
