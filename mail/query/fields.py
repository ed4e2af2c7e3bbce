"""The fields that a query may name, and what stands behind each."""

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
from schemas.mailbox import Folder

# As typed: as in IndexDocument.
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
_A_DAY = "a day such as 2026-11-24"
_AN_AGE = "an age such as 7d, 2w, 3m or 1y"
_A_SIZE = "a size such as 500K or 5M"


@dataclass(frozen=True, slots=True)
class ValueField:
    """A field with a value of its own kind; `read` gives None when it is none of that kind."""

    takes: str
    read: Callable[[str, QueryContext], Node | None]


def folder_ids_by_name(folders: Iterable[Folder]) -> dict[str, tuple[str, ...]]:
    """How `in:` knows an owner's folders: by id, and by name, which several may share."""
    found: dict[str, tuple[str, ...]] = {}
    for one in folders:
        for name in {fold(one.counts.id), fold(one.name)}:
            found[name] = (*found.get(name, ()), one.counts.id)
    return found


def _before(text: str, asker: QueryContext) -> Node | None:
    at_ms = moment_ms(text, asker.zone)
    return None if at_ms is None else ReceivedBefore(at_ms)


def _after(text: str, asker: QueryContext) -> Node | None:
    at_ms = moment_ms(text, asker.zone)
    return None if at_ms is None else Not(ReceivedBefore(at_ms))


def _older_than(text: str, asker: QueryContext) -> Node | None:
    at_ms = age_ms(text, asker.now_ms, asker.zone)
    return None if at_ms is None else ReceivedBefore(at_ms)


def _newer_than(text: str, asker: QueryContext) -> Node | None:
    at_ms = age_ms(text, asker.now_ms, asker.zone)
    return None if at_ms is None else Not(ReceivedBefore(at_ms))


def _larger(text: str, _asker: QueryContext) -> Node | None:
    size = size_bytes(text)
    return None if size is None else LargerThan(size)


def _smaller(text: str, _asker: QueryContext) -> Node | None:
    size = size_bytes(text)
    if size is None:
        return None
    if size == 0:
        return NOTHING
    return Not(LargerThan(size - 1))


def _in(text: str, asker: QueryContext) -> Node | None:
    name = fold(text.strip())
    if name == ANYWHERE:
        return EVERYTHING
    ids = asker.folders.get(name, ())
    return Or(tuple(map(InFolder, ids))) if ids else None


def _is(text: str, _asker: QueryContext) -> Node | None:
    return _STATES.get(text.lower())


def _has(text: str, _asker: QueryContext) -> Node | None:
    return HasAttachment() if text.lower() in {"attachment", "attachments"} else None


VALUE_FIELDS: Final = {
    "in": ValueField("the name of one of your folders, or by anywhere", _in),
    "is": ValueField("unread, read or flagged", _is),
    "has": ValueField("attachment", _has),
    "before": ValueField(_A_DAY, _before),
    "after": ValueField(_A_DAY, _after),
    "older_than": ValueField(_AN_AGE, _older_than),
    "newer_than": ValueField(_AN_AGE, _newer_than),
    "larger": ValueField(_A_SIZE, _larger),
    "smaller": ValueField(_A_SIZE, _smaller),
}
FIELDS: Final = (*TEXT_FIELDS, *VALUE_FIELDS)
