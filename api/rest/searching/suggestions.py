"""GET /v1/search/suggest: completions of the last word of a search."""

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import bad_request
from api.rest.parameters import query
from api.rest.responses import json_response
from api.rest.settings.addresses import PREFIX_MAX_CHARS, CorrespondentInfo, correspondent_info
from api.route import AuthenticatedRoute
from mail.query.fields import FIELDS
from mail.query.tokenizer import fold
from mail.query.tree import QUERY_MAX_CHARS
from schemas.ids import FolderId
from schemas.mailbox import Folder

PATH = "/v1/search/suggest"
SUGGESTIONS_MAX = 8  # of each kind
_VALUES = ("is:unread", "is:read", "is:flagged", "has:attachment", "in:anywhere")
_OPERATORS = (*_VALUES, *(f"{name}:" for name in FIELDS if name not in {"is", "has"}))
_PEOPLE_FIELDS = {"", "from", "to", "cc", "bcc", "with"}
_FOLDER_FIELDS = {"", "in"}


class FolderSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    id: FolderId
    name: str


class Suggestions(msgspec.Struct, frozen=True, kw_only=True):
    """Completions of the word from `at` to the end of `q`, at most 8 of each kind.

    With a field such as `from:` in the word, only what the field takes.
    """

    at: int
    people: list[CorrespondentInfo]
    folders: list[FolderSuggestion]
    operators: list[str]


async def suggest(call: AuthenticatedRequest) -> web.StreamResponse:
    text = query(call.request, "q").get("q", "")
    if not 1 <= len(text) <= QUERY_MAX_CHARS:
        raise bad_request("bad_q", f"1 to {QUERY_MAX_CHARS} characters.", "query:q")
    word = text.rpartition(" ")[2].removeprefix("-")
    field, colon, value = word.rpartition(":")
    field = field.lower()
    return json_response(
        Suggestions(
            at=len(text) - len(value),
            people=await _people(call, value) if field in _PEOPLE_FIELDS else [],
            folders=await _folders(call, value) if field in _FOLDER_FIELDS else [],
            operators=[] if colon else _operators(word),
        )
    )


async def _people(call: AuthenticatedRequest, value: str) -> list[CorrespondentInfo]:
    prefix = value.lstrip('"(')
    if not 1 <= len(prefix) <= PREFIX_MAX_CHARS:
        return []
    store = call.context.ports.store
    rows = await store.correspondents(call.user_id, prefix, limit=SUGGESTIONS_MAX)
    return [correspondent_info(row) for row in rows]


async def _folders(call: AuthenticatedRequest, value: str) -> list[FolderSuggestion]:
    prefix = fold(value.lstrip('"')).strip()
    rows = await call.context.ports.store.folders(call.user_id) if prefix else ()
    found = [row for row in rows if _begins(row, prefix)]
    return [FolderSuggestion(id=row.counts.id, name=row.name) for row in found[:SUGGESTIONS_MAX]]


def _begins(row: Folder, prefix: str) -> bool:
    """Whether the name of the folder, or a word in it, begins with `prefix`."""
    name = fold(row.name)
    return name.startswith(prefix) or any(word.startswith(prefix) for word in name.split())


def _operators(word: str) -> list[str]:
    found = [operator for operator in _OPERATORS if operator.startswith(word.lower())]
    return found[:SUGGESTIONS_MAX]


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path=PATH,
        name="suggest",
        summary="Complete the last word of a search: people, folders, operators.",
        handler=suggest,
        query=("q",),
        response=Suggestions,
    ),
)
