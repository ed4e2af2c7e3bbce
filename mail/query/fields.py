"""The fields of the search language, and the tree that each field and value stand for."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from mail.query.tokenizer import fold
from mail.query.tree import (
    EVERYTHING,
    NOTHING,
    HasAttachment,
    HasState,
    InFolder,
    LargerThan,
    Node,
    Not,
    Or,
    QueryContext,
    ReceivedBefore,
    RelatedTo,
    SentBefore,
    containing,
    header_with,
    with_keyword,
)
from mail.query.values import age_ms, day_number, moment_ms, size_bytes
from schemas.ids import FolderId
from schemas.mailbox import Folder

# The name in a query: the field of IndexDocument.
TEXT_FIELDS: Final = {
    "from": "sender",
    "to": "to",
    "cc": "cc",
    "bcc": "bcc",
    "subject": "subject",
    "body": "body",
    "filename": "filenames",
}
PARTICIPANT: Final = "with"  # words in any of PARTICIPANTS
CONTAINS: Final = "contains"  # in the parentheses of a text field: in that field
ANYWHERE: Final = "anywhere"
KEYWORD_MAX_CHARS: Final = 255
_NOT_IN_KEYWORDS = frozenset('(){]%*"\\ ')  # RFC 8621 §4.1.1
_MESSAGE_ID = re.compile(r"[^\s<>]{1,1000}")
_HEADER = re.compile(r"([!-9;-~]{0,100})(?::(.*))?", re.ASCII | re.DOTALL)
_STATES: dict[str, Node] = {
    "unread": HasState("unread"),
    "read": Not(HasState("unread")),
    "flagged": HasState("flagged"),
}
_DAY = "a day such as 2026-11-24"
_AGE = "an age such as 7d, 2w, 3m or 1y"
_SIZE = "a size such as 500K or 5M"


@dataclass(frozen=True, slots=True)
class ValueField:
    """A field that takes a date, an age, a size or a name instead of words.

    `parse_value` returns None for a value that the field does not take.
    """

    takes: str
    parse_value: Callable[[str, QueryContext], Node | None]


def folder_ids_by_name(folders: Iterable[Folder]) -> dict[str, tuple[FolderId, ...]]:
    """Return folder ids by folded id and folded name, for `in:`. Folders may share a name."""
    ids: dict[str, tuple[FolderId, ...]] = {}
    for folder in folders:
        for name in {fold(folder.counts.id), fold(folder.name)}:
            ids[name] = (*ids.get(name, ()), folder.counts.id)
    return ids


def _before(text: str, context: QueryContext) -> Node | None:
    at_ms = moment_ms(text, context.zone)
    return None if at_ms is None else ReceivedBefore(at_ms)


def _after(text: str, context: QueryContext) -> Node | None:
    at_ms = moment_ms(text, context.zone)
    return None if at_ms is None else Not(ReceivedBefore(at_ms))


def _older_than(text: str, context: QueryContext) -> Node | None:
    at_ms = age_ms(text, context.now_ms, context.zone)
    return None if at_ms is None else ReceivedBefore(at_ms)


def _newer_than(text: str, context: QueryContext) -> Node | None:
    at_ms = age_ms(text, context.now_ms, context.zone)
    return None if at_ms is None else Not(ReceivedBefore(at_ms))


def _larger(text: str, _context: QueryContext) -> Node | None:
    size = size_bytes(text)
    return None if size is None else LargerThan(size)


def _smaller(text: str, _context: QueryContext) -> Node | None:
    size = size_bytes(text)
    if size is None:
        return None
    if size == 0:
        return NOTHING
    return Not(LargerThan(size - 1))


def _in(text: str, context: QueryContext) -> Node | None:
    name = fold(text.strip())
    if name == ANYWHERE:
        return EVERYTHING
    ids = context.folders.get(name, ())
    return Or(tuple(map(InFolder, ids))) if ids else None


def _is(text: str, _context: QueryContext) -> Node | None:
    return _STATES.get(text.lower())


def _has(text: str, _context: QueryContext) -> Node | None:
    return HasAttachment() if text.lower() in {"attachment", "attachments"} else None


def _keyword(text: str, _context: QueryContext) -> Node | None:
    is_keyword = 0 < len(text) <= KEYWORD_MAX_CHARS and text.isascii() and text.isprintable()
    return with_keyword(text) if is_keyword and _NOT_IN_KEYWORDS.isdisjoint(text) else None


def _header(text: str, _context: QueryContext) -> Node | None:
    match = _HEADER.fullmatch(text.strip())
    node = match and header_with(match[1], match[2] or "")
    return None if node == EVERYTHING else node


def _message_id(text: str, _context: QueryContext) -> Node | None:
    id_ = text.strip().removeprefix("<").removesuffix(">")
    return RelatedTo(id_) if _MESSAGE_ID.fullmatch(id_) else None


def _sent_before(text: str, _context: QueryContext) -> Node | None:
    day = day_number(text)
    return None if day is None else SentBefore(day)


def _sent_after(text: str, _context: QueryContext) -> Node | None:
    day = day_number(text)
    return None if day is None else Not(SentBefore(day))


def _contains(text: str, _context: QueryContext) -> Node | None:
    node = containing(text)
    return None if node == EVERYTHING else node


VALUE_FIELDS: Final = {
    "in": ValueField("the name of one of your folders, or by anywhere", _in),
    "is": ValueField("unread, read or flagged", _is),
    "has": ValueField("attachment", _has),
    "before": ValueField(_DAY, _before),
    "after": ValueField(_DAY, _after),
    "older_than": ValueField(_AGE, _older_than),
    "newer_than": ValueField(_AGE, _newer_than),
    "larger": ValueField(_SIZE, _larger),
    "smaller": ValueField(_SIZE, _smaller),
    "keyword": ValueField("a keyword such as $forwarded or work", _keyword),
    "header": ValueField('the name of a header field, with a text as "name: text"', _header),
    "msgid": ValueField("the Message-ID of a mail", _message_id),
    "sent_before": ValueField(_DAY, _sent_before),
    "sent_after": ValueField(_DAY, _sent_after),
    CONTAINS: ValueField("a text", _contains),
}
FIELDS: Final = (*TEXT_FIELDS, PARTICIPANT, *VALUE_FIELDS)
