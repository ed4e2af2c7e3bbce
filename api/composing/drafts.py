"""/v1/drafts: mails that the caller writes, saved in the mailbox.

A draft is a message in Drafts; each save replaces it by a new message in one step, under one id. A
message that another program saved in Drafts is a draft too: its id is that of the message, and
stays with all its versions.
"""

import msgspec
from aiohttp import hdrs, web

from api.composing.author import Author
from api.composing.bodies import read_mail_body
from api.composing.draft_form import DraftResource, draft_form, draft_id_of
from api.composing.requests import DraftInput
from api.composing.submission import compose_draft
from api.context import AuthenticatedRequest
from api.problems import Problem, not_found
from api.rest.conditional_requests import (
    not_modified,
    required_seq,
    seq_etag,
    with_mailbox_etag,
)
from api.rest.mailbox_commands import (
    ACCEPTED,
    BODY_PROBLEMS,
    COMMAND_PROBLEMS,
    DEPOSIT_PROBLEMS,
    accepted,
    command_fields,
    deposit,
    execute,
)
from api.rest.parameters import bad_cursor, cursor_of, id_of, limit_of, query
from api.rest.reading.message_parsing import parse_for_editing
from api.rest.responses import MessageSummary, json_response, message_summary
from api.route import AuthenticatedRoute
from edge.deposits.deposit import Deposit, Deposited, Replaced
from mail.clock import now_ms
from mail.errors import Refused
from mail.ids import derived_id, new_id
from schemas.events.mailbox_commands import ExpungeMessages
from schemas.ids import DraftId, MessageId
from schemas.mailbox import DRAFT, DRAFTS, SEEN, Filter, Message

PATH = "/v1/drafts"
_PROBLEMS = (*COMMAND_PROBLEMS, 408, *BODY_PROBLEMS, *DEPOSIT_PROBLEMS)


class DraftSaved(msgspec.Struct, frozen=True, kw_only=True):
    """The present version of a draft. The draft keeps its `id`; every save makes a message."""

    id: str
    message_id: str
    changed_seq: int


class DraftSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A draft in the list: its id, and its present version as lists show it."""

    id: str
    message: MessageSummary


class DraftPage(msgspec.Struct, frozen=True, kw_only=True):
    """Drafts, saved last first."""

    drafts: list[DraftSummary]
    next_cursor: str | None


async def create_draft(call: AuthenticatedRequest) -> web.StreamResponse:
    """Save a new draft; answer with the first one if the `client_id` is known.

    Raises Problem 409: the draft of this `client_id` has been deleted or sent.
    """
    query(call.request)
    body = await read_mail_body(call, DraftInput)
    client_id = body.client_id
    draft_id = derived_id(call.user_id, "draft", client_id) if client_id else new_id()
    if client_id and (row := await _author(call).draft(draft_id)):
        return _saved(call, row.message_id, draft_id, row.changed_seq)
    saved = await _save(call, body, draft_id, None)
    row = await _author(call).draft(draft_id)
    if saved.changed_seq is not None and row is None:
        raise Problem(409, "refused", "The draft of this client_id has been deleted or sent.")
    return _answer(call, saved, draft_id, status=201)


async def list_drafts(call: AuthenticatedRequest) -> web.StreamResponse:
    values = query(call.request, "limit", "cursor")
    config, store = call.context.config, call.context.ports.store
    limit, cursor = limit_of(values, config), cursor_of(values, config)
    try:
        page = await store.page(
            call.user_id, DRAFTS, conditions=Filter(), limit=limit, cursor=cursor
        )
    except Refused as error:
        raise bad_cursor() from error
    drafts = [
        DraftSummary(id=draft_id_of(row), message=message_summary(row)) for row in page.messages
    ]
    return json_response(DraftPage(drafts=drafts, next_cursor=page.next_cursor))


async def get_draft(call: AuthenticatedRequest) -> web.StreamResponse:
    """The fields of a draft. Raises Problem 404: there is no such draft."""
    query(call.request)
    row = await _draft(call)
    etag = seq_etag(call, row.changed_seq)
    if unchanged := not_modified(call.request, etag):
        return unchanged
    parsed = await parse_for_editing(call.context, row)
    fields = await _author(call).written_fields(row)
    return json_response(draft_form(row, fields, parsed), headers={hdrs.ETAG: etag})


async def put_draft(call: AuthenticatedRequest) -> web.StreamResponse:
    """Replace a draft as a whole.

    Raises Problem: 404 there is no such draft; 409, 412 it was saved elsewhere meanwhile.
    """
    query(call.request)
    row = await _draft(call)
    required_seq(call, row)
    body = await read_mail_body(call, DraftInput)
    saved = await _save(call, body, draft_id_of(row), row)
    return _answer(call, saved, draft_id_of(row), status=200)


async def delete_draft(call: AuthenticatedRequest) -> web.StreamResponse:
    """Destroy a draft; it does not move to the trash."""
    query(call.request)
    row = await _draft(call)
    command = ExpungeMessages(
        **command_fields(call),
        message_ids=(row.message_id,),
        unchanged_since_seq=required_seq(call, row),
    )
    event = await execute(call, command)
    return accepted(PATH) if event is None else web.Response(status=204)


async def _save(
    call: AuthenticatedRequest, body: DraftInput, draft_id: str, present: Message | None
) -> Deposited:
    """Compose the draft and put it into the mailbox, in place of its present version."""
    octets = await compose_draft(
        _author(call), body, draft_id=draft_id, at_ms=now_ms(), draft=present
    )
    replaced = None
    if present is not None:
        replaced = Replaced(message_id=present.message_id, unchanged_since_seq=present.changed_seq)
    is_new = present is None and body.client_id is not None
    return await deposit(
        call,
        Deposit(
            octets=octets,
            folder_ids=(DRAFTS,),
            keywords=(DRAFT, SEEN),
            draft_id=DraftId(draft_id),
            replaces=replaced,
            client_id=f"draft:{body.client_id}" if is_new else "",
        ),
    )


def _author(call: AuthenticatedRequest) -> Author:
    return Author(context=call.context, user=call.caller.user)


async def _draft(call: AuthenticatedRequest) -> Message:
    """The present version of the draft in the path. Raises Problem 404."""
    row = await _author(call).draft(id_of(call.request))
    if row is None:
        raise not_found()
    return row


def _answer(
    call: AuthenticatedRequest, saved: Deposited, draft_id: str, *, status: int
) -> web.Response:
    if saved.changed_seq is None:
        return accepted(f"{PATH}/{draft_id}")
    return _saved(call, saved.message_id, draft_id, saved.changed_seq, status=status)


def _saved(
    call: AuthenticatedRequest,
    message_id: MessageId,
    draft_id: str,
    changed_seq: int,
    *,
    status: int = 200,
) -> web.Response:
    return json_response(
        DraftSaved(id=draft_id, message_id=message_id, changed_seq=changed_seq),
        status=status,
        headers={hdrs.ETAG: seq_etag(call, changed_seq)},
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path=PATH,
        name="drafts",
        summary="List drafts, saved last first.",
        handler=with_mailbox_etag(list_drafts),
        query=("limit", "cursor"),
        response=DraftPage,
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="POST",
        path=PATH,
        name="create_draft",
        summary="Save a new draft; a repeat with its client_id answers with the same draft.",
        handler=create_draft,
        body=DraftInput,
        status=201,
        response=DraftSaved,
        also=((200, DraftSaved), ACCEPTED),
        problems=_PROBLEMS,
    ),
    AuthenticatedRoute(
        method="GET",
        path=f"{PATH}/{{id}}",
        name="draft",
        summary="Get the fields of a draft as they were written.",
        handler=get_draft,
        response=DraftResource,
        problems=(404,),
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="PUT",
        path=f"{PATH}/{{id}}",
        name="put_draft",
        summary="Save a draft again, as a whole.",
        handler=put_draft,
        body=DraftInput,
        response=DraftSaved,
        also=(ACCEPTED,),
        problems=_PROBLEMS,
        conditions=(hdrs.IF_MATCH,),
    ),
    AuthenticatedRoute(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        name="delete_draft",
        summary="Destroy a draft.",
        handler=delete_draft,
        status=204,
        also=(ACCEPTED,),
        problems=COMMAND_PROBLEMS,
        conditions=(hdrs.IF_MATCH,),
    ),
)
