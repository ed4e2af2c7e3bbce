"""PATCH: an order to the mailbox's one writer, answered when its effect can be seen.

The subscription stands before the command is published, so that no answer is missed. The event
comes after the store was written: the row read then has the change.
"""

import asyncio

import msgspec
from aiohttp import web

from api.answers import Accepted, json_answer, summary
from api.edge import SignedCall, now_ms
from api.inputs import MessagePatch, message_id_of, query, read_body
from api.problems import Problem, bad_request, not_found
from mail.ids import new_id
from mail.mailbox import NOT_FOUND, REFUSED
from schemas.events import ChangeMessages, CommandAnswered, MailboxEvent
from schemas.mailbox import FLAGGED, SEEN, Message


async def patch_message(call: SignedCall) -> web.StreamResponse:
    """200 with the message after the change; 202 when it was not seen in time."""
    query(call.request)
    asked = await read_body(call.request, MessagePatch)
    message_id = message_id_of(call.request)
    await _row(call, message_id)
    command = _command(call, message_id, asked)
    event = await _carry_out(call, command)
    if event is None:
        place = f"/v1/messages/{message_id}"
        return json_answer(Accepted(location=place), status=202, headers={"Location": place})
    if isinstance(event, CommandAnswered):
        _check(event)
    return json_answer(summary(await _row(call, message_id)))


def _check(answer: CommandAnswered) -> None:
    """What the mailbox said without changing anything; `unchanged` is as good as changed."""
    if answer.outcome == NOT_FOUND:
        raise not_found()
    if answer.outcome == REFUSED:
        raise Problem(409, "refused", answer.detail)


async def _row(call: SignedCall, message_id: str) -> Message:
    row = await call.edge.ports.store.message(call.user_id, message_id)
    if row is None or row.destroyed:
        raise not_found()
    return row


def _command(call: SignedCall, message_id: str, asked: MessagePatch) -> ChangeMessages:
    """`unread` and `flagged` are views of keywords (RFC 8621 §4.1.1)."""
    wanted: dict[str, bool] = {}
    if asked.unread is not msgspec.UNSET:
        wanted[SEEN] = not asked.unread
    if asked.flagged is not msgspec.UNSET:
        wanted[FLAGGED] = bool(asked.flagged)
    if not wanted:
        raise bad_request("nothing_to_change", "Give unread, flagged or both.", "$")
    return ChangeMessages(
        command_id=new_id(),
        user_id=call.user_id,
        domain_id=call.caller.user.domain_id,
        message_ids=(message_id,),
        add_keywords=tuple(keyword for keyword, there in wanted.items() if there),
        remove_keywords=tuple(keyword for keyword, there in wanted.items() if not there),
        at_ms=now_ms(),
    )


async def _carry_out(call: SignedCall, command: ChangeMessages) -> MailboxEvent | None:
    """Publish, and wait for the event of this command; None when time is up."""
    answer: asyncio.Future[MailboxEvent] = asyncio.get_running_loop().create_future()

    def sink(event: MailboxEvent) -> None:
        if event.answers == command.command_id and not answer.done():
            answer.set_result(event)

    unsubscribe = call.edge.ports.feed.subscribe(call.user_id, sink)
    try:
        await call.edge.ports.publisher.publish(command)
        async with asyncio.timeout(call.edge.config.answer_timeout_s):
            return await answer
    except TimeoutError:
        return None
    finally:
        unsubscribe()
