"""Messages that a batch changes: those of a list or a search that are not yet as requested.

The ids are read at the edge, in pages, after the state of the mailbox. A message that changes later
than this state is not changed by the batch: it may not match any more.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import tzinfo
from functools import partial
from typing import Annotated

import msgspec

from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request
from api.rest.message_lists import read_state
from api.rest.parameters import ADDRESS_MAX_CHARS, FolderIdValue, filter_of, zone_of
from api.rest.searching.search import parsed_query, run_search
from mail.mailbox.message_rules import changes_row
from mail.query.values import ZONE_MAX_CHARS
from mail.search.executor import SearchRequest
from schemas.events.mailbox_commands import ChangeMessages
from schemas.ids import FolderId, MessageId
from schemas.mailbox import Message

LOOKED_MAX = 200_000  # rows that one batch looks at
_PAGE = 500
ZoneName = Annotated[str, msgspec.Meta(max_length=ZONE_MAX_CHARS)]
Short = Annotated[str, msgspec.Meta(max_length=ADDRESS_MAX_CHARS)]


class BatchSelection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The messages of a list, with the filters of `GET /v1/folders/{id}/messages`.

    `folder_id` null: all mail except junk and trash.
    """

    folder_id: FolderIdValue | None = None
    unread: bool | None = None
    flagged: bool | None = None
    has_attachments: bool | None = None
    keyword: Short | None = None
    sender: Short | None = msgspec.field(default=None, name="from")
    after: Short | None = None
    before: Short | None = None


class SelectedMessages(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of the messages to change. `seq`: of the state before they were read."""

    ids: Sequence[MessageId]
    seq: int
    more: bool  # further messages match, beyond the limits of a batch


async def select(
    call: AuthenticatedRequest,
    where: BatchSelection | None,
    q: str,
    zone_name: str,
    change: ChangeMessages,
) -> SelectedMessages:
    """The messages of the list `where`, or else of the search `q`, that `change` changes.

    Raises Problem 404: no such folder. 400: a filter or the query is malformed.
    """
    seq = (await call.first_state()).seq
    zone, config = zone_of({"tz": zone_name}), call.context.config
    if where is None:
        pages, most = _hits(call, q, zone), config.batch_search_max
    else:
        pages, most = await _listed(call, where, zone_name), config.batch_max
    ids: list[MessageId] = []
    looked = 0
    async for rows in pages:
        looked += len(rows)
        ids += (row.message_id for row in rows if changes_row(row, change))
        if len(ids) > most or looked >= LOOKED_MAX:
            return SelectedMessages(ids=ids[:most], seq=seq, more=True)
    return SelectedMessages(ids=ids, seq=seq, more=False)


async def _listed(
    call: AuthenticatedRequest, where: BatchSelection, zone_name: str
) -> AsyncIterator[Sequence[Message]]:
    folder_id = None if where.folder_id is None else FolderId(where.folder_id)
    if folder_id is not None:
        await read_state(call, folder_id)
    values = msgspec.to_builtins(where) | {"tz": zone_name}
    texts = {name: _text(value) for name, value in values.items() if value is not None}
    texts.pop("folder_id", None)
    try:
        conditions = filter_of(texts)
    except Problem as problem:
        place = str(problem.body.place).replace("query:", "$.where.")
        raise bad_request(problem.body.code, problem.body.detail, place) from problem
    read = partial(
        call.context.ports.store.page, call.user_id, folder_id, conditions=conditions, limit=_PAGE
    )

    async def pages() -> AsyncIterator[Sequence[Message]]:
        page = await read(cursor=None)
        yield page.messages
        while page.next_cursor:
            page = await read(cursor=page.next_cursor)
            yield page.messages

    return pages()


async def _hits(
    call: AuthenticatedRequest, text: str, zone: tzinfo
) -> AsyncIterator[Sequence[Message]]:
    request = SearchRequest(
        user_id=call.user_id, query=await parsed_query(call, text, zone), limit=_PAGE
    )
    while True:
        result = await run_search(call, request)
        yield [hit.row for hit in result.hits]
        if result.next_cursor is None:
            return
        request = msgspec.structs.replace(request, cursor=result.next_cursor)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
