"""Parse path, query and body parameters strictly; a Problem names the parameter at fault."""

import asyncio
import re
from datetime import UTC, tzinfo
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web

from api.config import ApiConfig
from api.context import CONTEXT
from api.problems import Problem, bad_request, not_found
from mail.errors import Refused
from mail.mailbox.keywords import normal_keywords
from mail.pagination import POSITION_MAX
from mail.query import values as query_values
from mail.search.executor import Order
from schemas.conversations import ConversationFilter
from schemas.ids import FolderId
from schemas.mailbox import Filter

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMBER = re.compile(r"[0-9]{1,4}")
_POSITION = re.compile(r"[0-9]{1,7}")
_SEQ = re.compile(r"[0-9]{1,15}")
_VALIDATION_ERROR = re.compile(r"^(?P<detail>.*?)(?: - at `(?P<place>\$[^`]*)`)?$", re.DOTALL)

ADDRESS_MAX_CHARS = 320
STATE = "([0-9]{1,15}-)?[0-9]{1,15}"  # epoch and seq; a seq alone is of the first epoch
SEQ_MAX = 10**15 - 1
GONE_SEQ = SEQ_MAX + 1  # greater than any mailbox's last seq, so its steps count as truncated
FIRST_EPOCH = 1
THREAD_FILTERS = ("unread", "flagged", "has_attachments", "keyword")
FILTERS = (*THREAD_FILTERS, "from", "after", "before", "tz")

ShortText = Annotated[str, msgspec.Meta(max_length=1024)]
_ID_LENGTH = msgspec.Meta(min_length=1, max_length=64)
ResourceId = Annotated[str, _ID_LENGTH]
FolderIdValue = Annotated[FolderId, _ID_LENGTH]
Body = TypeVar("Body", bound=msgspec.Struct)


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    """The JSON body as `kind`.

    Raises Problem: 415 for another media type; 408 if the body takes over `body_max_s`; 400 with
    the JSON path of the fault.
    """
    check_is_json(request)
    return decode_body(await _read_in_time(request), kind)


def check_is_json(request: web.Request) -> None:
    """Raises Problem 415: the body has another media type."""
    if request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Send application/json.")


def decode_body(content: bytes, kind: type[Body]) -> Body:
    """The JSON `content` as `kind`. Raises Problem 400 with the JSON path of the fault."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        match = _VALIDATION_ERROR.match(str(error))
        place = match["place"] if match and match["place"] else "$"
        raise bad_request("invalid_body", match["detail"] if match else "", place) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request("invalid_json", str(error), "body") from error


async def _read_in_time(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(request.app[CONTEXT].config.body_max_s):
            return await request.read()
    except TimeoutError:
        raise Problem(408, "timeout", "The body did not come in time.") from None


def query(request: web.Request, *known: str) -> dict[str, str]:
    """Query parameters by name. Raises Problem 400: a parameter is not in `known`, or repeated."""
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            raise bad_request(
                "unknown_parameter",
                f"Known parameters are: {', '.join(known) or 'none'}.",
                f"query:{name[:64]}",
            )
        if name in values:
            raise bad_request("repeated_parameter", "Give it once.", f"query:{name}")
        values[name] = value
    return values


def limit_of(values: dict[str, str], config: ApiConfig) -> int:
    text = values.get("limit", str(config.page_default))
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= config.page_max:
        raise bad_request("bad_limit", f"A number from 1 to {config.page_max}.", "query:limit")
    return int(text)


def since_of(values: dict[str, str], config: ApiConfig) -> int | None:
    """The seq of the client's state; GONE_SEQ for a state of another epoch, None if absent.

    A seq without epoch is of the first epoch, the only one before a restore. 0 is valid in every
    epoch.
    """
    text = values.get("since")
    if text is None:
        return None
    if not re.fullmatch(STATE, text):
        raise bad_request("bad_since", "A state, or 0: from the beginning.", "query:since")
    epoch, _, seq = text.rpartition("-")
    is_current = int(seq) == 0 or int(epoch or FIRST_EPOCH) == config.epoch
    return int(seq) if is_current else GONE_SEQ


def cursor_of(values: dict[str, str], config: ApiConfig) -> str | None:
    cursor = values.get("cursor")
    if cursor is not None and not 1 <= len(cursor) <= config.cursor_max_chars:
        raise bad_cursor()
    return cursor


def bad_cursor() -> Problem:
    return bad_request("bad_cursor", "Use a next_cursor of the same list.", "query:cursor")


def filter_of(values: dict[str, str]) -> Filter:
    """The filter of a list, from the parameters FILTERS."""
    zone = zone_of(values)
    return Filter(
        unread=flag_of(values, "unread"),
        flagged=flag_of(values, "flagged"),
        has_attachments=flag_of(values, "has_attachments"),
        keyword=_keyword_of(values),
        sender=_sender_of(values),
        after_ms=moment_of(values, "after", zone),
        before_ms=moment_of(values, "before", zone),
    )


def thread_filter_of(values: dict[str, str]) -> ConversationFilter:
    """The filter of a list of conversations, from the parameters THREAD_FILTERS."""
    return ConversationFilter(
        unread=flag_of(values, "unread"),
        flagged=flag_of(values, "flagged"),
        has_attachments=flag_of(values, "has_attachments"),
        keyword=_keyword_of(values),
    )


def position_of(values: dict[str, str]) -> int | None:
    """The position of a page. Raises Problem 400: it is no number, or `cursor` is given too."""
    text = values.get("position")
    if text is not None and ("cursor" in values or not _POSITION.fullmatch(text)):
        raise bad_position()
    return None if text is None else int(text)


def bad_position() -> Problem:
    detail = f"From 0 to {POSITION_MAX}, without a cursor; a filtered list of at most as many rows."
    return bad_request("bad_position", detail, "query:position")


def _keyword_of(values: dict[str, str]) -> str | None:
    text = values.get("keyword")
    keywords = normal_keywords(() if text is None else (text,))
    if keywords is None:
        raise bad_request("bad_keyword", "A keyword of messages.", "query:keyword")
    return next(iter(keywords), None)


def flag_of(values: dict[str, str], name: str) -> bool | None:
    """The value of `name`. Raises Problem 400: it is neither true nor false."""
    text = values.get(name)
    if text not in {None, "true", "false"}:
        raise bad_request(f"bad_{name}", "Either true or false.", f"query:{name}")
    return None if text is None else text == "true"


def _sender_of(values: dict[str, str]) -> str | None:
    text = values.get("from")
    if text is not None and not 1 <= len(text) <= ADDRESS_MAX_CHARS:
        raise bad_request("bad_from", "An address.", "query:from")
    return text


def moment_of(values: dict[str, str], name: str, zone: tzinfo = UTC) -> int | None:
    """The value of `name` in milliseconds. Raises Problem 400: it is neither day nor moment."""
    text = values.get(name)
    at_ms = query_values.moment_ms(text, zone) if text is not None else None
    if text is not None and at_ms is None:
        detail = "A day such as 2026-11-24, or a moment of RFC 3339."
        raise bad_request(f"bad_{name}", detail, f"query:{name}")
    return at_ms


def uid_of(values: dict[str, str]) -> int:
    text = values.get("after_uid", "0")
    if not _SEQ.fullmatch(text):
        raise bad_request("bad_after_uid", "A uid: a whole number from 0.", "query:after_uid")
    return int(text)


def order_of(values: dict[str, str]) -> Order:
    match values.get("order", "date"):
        case "date":
            return "date"
        case "relevance":
            return "relevance"
        case _:
            raise bad_request("bad_order", "Either date or relevance.", "query:order")


def zone_of(values: dict[str, str]) -> tzinfo:
    """The time zone of dates, from `tz`; UTC if absent."""
    try:
        return query_values.zone_of(values.get("tz", "UTC"))
    except Refused as error:
        raise bad_request("bad_time_zone", error.detail, "query:tz") from error


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def id_of(request: web.Request) -> str:
    """The id in the path. Raises Problem 404: the id is malformed, the same as for unknown ids."""
    id_ = request.match_info["id"]
    if not is_id(id_):
        raise not_found()
    return id_


def folder_id_of(request: web.Request) -> FolderId:
    """The folder id in the path, unchecked: a standard folder's id is a word."""
    return FolderId(request.match_info["id"])


def attachment_number_of(request: web.Request) -> int:
    """`n` in the path. Raises Problem 404: `n` is malformed."""
    text = request.match_info["n"]
    if not _NUMBER.fullmatch(text):
        raise not_found()
    return int(text)
