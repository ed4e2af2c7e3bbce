"""Changes of messages: of one, conditional on what was seen of it; of many, told one by one."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET

from api.context import AuthenticatedRequest
from api.problems import bad_request
from api.rest.conditional_requests import tag_of, wanted_seq
from api.rest.mailbox_commands import accepted, carry_out, carry_out_one, of_caller
from api.rest.message import row_of
from api.rest.parameters import is_id, query, read_body
from api.rest.requests import MessageIds, MessagePatch, MessagesPatch
from api.rest.responses import json_answer, summary
from api.rest.update_results import ACCEPTED, UpdateResult, UpdateResults, outcomes_of
from mail.mailbox.command_rules import fault_in, is_discarded
from mail.mailbox.commit_builder import CHANGES_MAX
from mail.mailbox.keywords import normal_keywords
from schemas.events.mailbox_commands import (
    ChangeMessages,
    DestroyMessages,
    MessageCommand,
    TrashMessages,
)
from schemas.events.mailbox_events import NOT_FOUND, REFUSED
from schemas.mailbox import FLAGGED, SEEN


async def patch_message(call: AuthenticatedRequest) -> web.StreamResponse:
    """200 with the message after the change; 202 when it was not seen in time."""
    query(call.request)
    change = _change(await read_body(call.request, MessagePatch))
    row = await row_of(call)
    order = ChangeMessages(
        **of_caller(call),
        **change,
        message_ids=(row.message_id,),
        if_changed_seq=wanted_seq(call, row),
    )
    return await _one(call, order)


async def delete_message(call: AuthenticatedRequest) -> web.StreamResponse:
    """200 with the message in the trash; 204 when it was read in trash or junk, and is destroyed.

    The command says which of the two, so that it means the same whenever it is carried out.
    """
    query(call.request)
    row = await row_of(call)
    wanted = wanted_seq(call, row)
    fields = {**of_caller(call), "message_ids": (row.message_id,)}
    if is_discarded(row):
        return await _one(call, DestroyMessages(**fields, unchanged_since_seq=row.changed_seq))
    return await _one(call, TrashMessages(**fields, if_changed_seq=wanted))


async def patch_messages(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    asked = await read_body(call.request, MessagesPatch)
    change = _change(asked)
    found = _outcomes(call, asked.ids)
    orders = [
        ChangeMessages(**of_caller(call), **change, message_ids=part)
        for part in _parts(_sound(found))
    ]
    found |= await _carried_out(call, orders)
    for order in orders:
        if all(found[id_].outcome == REFUSED for id_ in order.message_ids):
            found |= await _without_faults(call, order)
    return _answer(found)


async def delete_messages(call: AuthenticatedRequest) -> web.StreamResponse:
    """As each would be deleted alone."""
    query(call.request)
    asked = await read_body(call.request, MessageIds)
    found = _outcomes(call, asked.ids)
    return _answer(found | await _carried_out(call, await _deletions(call, _sound(found))))


async def _deletions(call: AuthenticatedRequest, ids: Sequence[str]) -> list[MessageCommand]:
    """Destroy what is read in trash or junk, move the rest to the trash.

    The mailbox's seq is read first: no message that is read after it can be older.
    """
    store = call.edge.ports.store
    seq = (await store.state(call.user_id)).seq
    rows = await store.messages(call.user_id, ids)
    discarded = [id_ for id_ in ids if id_ in rows and is_discarded(rows[id_])]
    others = [id_ for id_ in ids if id_ not in set(discarded)]
    destroyed = (
        DestroyMessages(**of_caller(call), message_ids=part, unchanged_since_seq=seq)
        for part in _parts(discarded)
    )
    trashed = (TrashMessages(**of_caller(call), message_ids=part) for part in _parts(others))
    return [*destroyed, *trashed]


async def _one(call: AuthenticatedRequest, order: MessageCommand) -> web.StreamResponse:
    event = await carry_out_one(call, order)
    (message_id,) = order.message_ids
    if event is None:
        return accepted(f"/v1/messages/{message_id}")
    row = await call.edge.ports.store.message(call.user_id, message_id)
    if row is None or row.destroyed:
        return web.Response(status=204)
    return json_answer(summary(row), headers={hdrs.ETAG: tag_of(call, row)})


def _outcomes(call: AuthenticatedRequest, ids: Sequence[str]) -> dict[str, UpdateResult]:
    """Each id once, as not found so far. 400: If-Match."""
    if hdrs.IF_MATCH in call.request.headers:
        detail = "If-Match goes with a change of one message."
        raise bad_request("if_match_of_many", detail, "header:If-Match")
    return {id_: UpdateResult(id=id_, outcome=NOT_FOUND) for id_ in ids}


def _sound(ids: Iterable[str]) -> list[str]:
    return [id_ for id_ in ids if is_id(id_)]


def _parts(ids: Sequence[str]) -> list[tuple[str, ...]]:
    """Of the size of one order."""
    return [tuple(ids[at : at + CHANGES_MAX]) for at in range(0, len(ids), CHANGES_MAX)]


def _answer(found: dict[str, UpdateResult]) -> web.Response:
    """202 when not all of them were seen to be carried out."""
    is_done = all(one.outcome != ACCEPTED for one in found.values())
    return json_answer(UpdateResults(outcomes=list(found.values())), status=200 if is_done else 202)


async def _carried_out(
    call: AuthenticatedRequest, orders: Sequence[MessageCommand]
) -> dict[str, UpdateResult]:
    events = await carry_out(call, orders) if orders else []
    each = zip(orders, events, strict=True)
    return {one.id: one for order, event in each for one in outcomes_of(order, event)}


async def _without_faults(
    call: AuthenticatedRequest, order: ChangeMessages
) -> dict[str, UpdateResult]:
    """An order is refused whole: again, without the messages for which it was."""
    rows = await call.edge.ports.store.messages(call.user_id, order.message_ids)
    faults = {id_: fault for id_, row in rows.items() if (fault := fault_in(row, order))}
    rest = tuple(id_ for id_ in order.message_ids if id_ not in faults)
    refused = (UpdateResult(id=id_, outcome=REFUSED, detail=fault) for id_, fault in faults.items())
    again = msgspec.structs.replace(order, **of_caller(call), message_ids=rest)
    carried_out = await _carried_out(call, [again]) if faults and rest else {}
    return carried_out | {one.id: one for one in refused}


def _change(asked: MessagePatch) -> dict[str, Any]:
    """The fields of the command. 400: they contradict each other, or there are none."""
    keywords = _keywords(asked)
    folders = {
        "set_folder_ids": asked.folder_ids,
        "add_folder_ids": asked.add_folder_ids,
        "remove_folder_ids": asked.remove_folder_ids,
    }
    given = {name: tuple(ids) for name, ids in folders.items() if ids is not UNSET}
    if not keywords and not given:
        raise bad_request("nothing_to_change", "Say what shall change.", "$")
    if "set_folder_ids" in given and len(given) > 1:
        raise bad_request("contradiction", "Replace folders, or add and remove.", "$.folder_ids")
    return {
        "add_keywords": tuple(name for name, there in keywords.items() if there),
        "remove_keywords": tuple(name for name, there in keywords.items() if not there),
        **given,
    }


def _keywords(asked: MessagePatch) -> dict[str, bool]:
    """Which shall be there. `unread` and `flagged` are views of two of them (RFC 8621 §4.1.1)."""
    views = {SEEN: (asked.unread, False), FLAGGED: (asked.flagged, True)}
    wanted = [(name, one is there) for name, (one, there) in views.items() if one is not UNSET]
    for name, there in (asked.keywords or {}).items():
        (normal,) = normal_keywords([name]) or ("",)
        if not normal:
            raise bad_request("bad_keyword", "Not a keyword (RFC 8621 §4.1.1).", "$.keywords")
        wanted.append((normal, there))
    found = dict(wanted)
    if len(found) < len(wanted):
        raise bad_request("contradiction", "A keyword is named twice.", "$.keywords")
    return found
