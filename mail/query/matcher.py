"""The definition of a match: whether a message matches a query tree.

The code is simple and slow. Every index must find the same messages.
"""

from collections.abc import Sequence

import msgspec

from mail.clock import DAY_MS
from mail.query.tokenizer import comparable, tokens
from mail.query.tree import (
    ID_FIELDS,
    SEARCHED_FIELDS,
    Contains,
    DocumentLeaf,
    FactNode,
    HasAttachment,
    HasKeyword,
    HasState,
    HeaderContains,
    InFolder,
    LargerThan,
    Leaf,
    MessageIn,
    Node,
    ReceivedBefore,
    RelatedTo,
    SentBefore,
    WordsNode,
    evaluated,
    phrase,
)
from schemas.ids import FolderId, MessageId
from schemas.mailbox import Message, is_flagged, is_unread
from schemas.search import IndexDocument


class MessageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a message that queries test besides its document."""

    received_at_ms: int
    size_bytes: int
    has_attachments: bool
    message_id: MessageId
    folder_ids: frozenset[FolderId] = frozenset()
    keywords: tuple[str, ...] = ()


class SearchedDocument:
    """A document, with its texts in the forms that leaves compare; each is made on first use."""

    def __init__(self, document: IndexDocument) -> None:
        self.document = document
        self._tokens: dict[str, list[str]] = {}
        self._comparable: dict[str, str] = {}
        self._headers: tuple[tuple[str, str], ...] | None = None

    def tokens(self, field: str) -> list[str]:
        """Return the tokens of one of SEARCHED_FIELDS."""
        if field not in self._tokens:
            self._tokens[field] = tokens(getattr(self.document, field))
        return self._tokens[field]

    def comparable(self, field: str) -> str:
        """Return one of SEARCHED_FIELDS in the form that substrings are compared in."""
        if field not in self._comparable:
            self._comparable[field] = comparable(getattr(self.document, field))
        return self._comparable[field]

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return name and comparable value of each header field."""
        if self._headers is None:
            fields = self.document.headers
            self._headers = tuple((name, comparable(value)) for name, value in fields)
        return self._headers


def facts_of(row: Message, *, with_deleted: bool = False) -> MessageFacts:
    """Return the facts of a row.

    `with_deleted`: folders where the message is marked as deleted count too.
    """
    return MessageFacts(
        received_at_ms=row.received_at_ms,
        size_bytes=row.content.size_bytes,
        has_attachments=row.head.has_attachments,
        message_id=row.message_id,
        folder_ids=frozenset(row.places if with_deleted else row.shown_places),
        keywords=row.keywords,
    )


def document_facts(document: IndexDocument) -> MessageFacts:
    """Return the facts that the index knows; folders and keywords keep their defaults."""
    return MessageFacts(
        received_at_ms=document.received_at_ms,
        size_bytes=document.size_bytes,
        has_attachments=document.has_attachments,
        message_id=document.message_id,
    )


def matches(node: Node, document: SearchedDocument, facts: MessageFacts) -> bool:
    def holds(leaf: Leaf) -> bool:
        return fits(leaf, document) if isinstance(leaf, DocumentLeaf) else is_true(leaf, facts)

    return evaluated(node, holds)


def is_true(fact: FactNode, of: MessageFacts) -> bool:  # noqa: PLR0911 one for each leaf
    match fact:
        case ReceivedBefore(at_ms):
            return of.received_at_ms < at_ms
        case LargerThan(size_bytes):
            return of.size_bytes > size_bytes
        case HasAttachment():
            return of.has_attachments
        case InFolder(folder_id):
            return folder_id in of.folder_ids
        case HasState(state):
            return (is_unread if state == "unread" else is_flagged)(of.keywords)
        case HasKeyword(keyword):
            return keyword in of.keywords
        case MessageIn(message_ids):
            return of.message_id in message_ids


def fits(leaf: DocumentLeaf, document: SearchedDocument) -> bool:
    """Whether the texts and header fields of `document` fulfil `leaf`."""
    match leaf:
        case WordsNode(_, field):
            sequence, prefix = phrase(leaf)
            return any(
                _has_phrase(document.tokens(each), sequence, prefix=prefix)
                for each in _fields(field)
            )
        case Contains(text, field):
            return any(text in document.comparable(each) for each in _fields(field))
        case HeaderContains(name, text):
            return any(text in value for each, value in document.headers() if name in ("", each))
        case RelatedTo(id_, field):
            ids = document.document.header_ids
            return any(id_ in ids.get(each, ()) for each in ((field,) if field else ID_FIELDS))
        case SentBefore(day):
            return sent_day(document.document) < day


def sent_day(document: IndexDocument) -> int:
    """Return the day on which the mail was sent, or without a valid Date field the day it came."""
    if document.sent_day is None:
        return document.received_at_ms // DAY_MS
    return document.sent_day


def _fields(field: str | None) -> tuple[str, ...]:
    return SEARCHED_FIELDS if field is None else (field,)


def _has_phrase(text: Sequence[str], sequence: tuple[str, ...], *, prefix: bool) -> bool:
    """Whether `text` has the tokens of `sequence` as neighbours, in order."""
    *before, last = sequence
    length = len(sequence)
    return any(
        text[start : start + length - 1] == before
        and (
            text[start + length - 1].startswith(last)
            if prefix
            else text[start + length - 1] == last
        )
        for start in range(len(text) - length + 1)
    )
