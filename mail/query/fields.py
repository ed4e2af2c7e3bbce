"""The fields of the search language, and the tree that each field and value stand for."""

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
)
from mail.query.values import age_ms, moment_ms, size_bytes
from schemas.ids import FolderId
from schemas.mailbox import Folder

# The name in a query: the field of IndexDocument.
TEXT_FIELDS: Final = {
    "from": "sender",
    "to": "to",
    "cc": "cc",
    "subject": "subject",
    "body": "body",
    "filename": "filenames",
}
ANYWHERE: Final = "anywhere"
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
}
FIELDS: Final = (*TEXT_FIELDS, *VALUE_FIELDS)
