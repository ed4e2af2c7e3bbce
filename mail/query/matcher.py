"""The definition of a match: whether a message matches a query tree.

The code is simple and slow. Every index must find the same messages.
"""

from collections.abc import Sequence

import msgspec

from mail.query.tokenizer import tokens
from mail.query.tree import (
    SEARCHED_FIELDS,
    FactNode,
    HasAttachment,
    HasState,
    InFolder,
    LargerThan,
    Leaf,
    Node,
    ReceivedBefore,
    WordsNode,
    evaluated,
    phrase,
)
from schemas.ids import FolderId
from schemas.mailbox import Message, is_flagged, is_unread
from schemas.search import IndexDocument


class MessageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a message that queries test besides its words."""

    received_at_ms: int
    size_bytes: int
    has_attachments: bool
    folder_ids: frozenset[FolderId] = frozenset()
    unread: bool = False
    flagged: bool = False


FieldTokens = dict[str, list[str]]  # the tokens of each of SEARCHED_FIELDS


def field_tokens(document: IndexDocument) -> FieldTokens:
    """Return the tokens of each searched field."""
    return {field: tokens(getattr(document, field)) for field in SEARCHED_FIELDS}


def facts_of(row: Message) -> MessageFacts:
    return MessageFacts(
        received_at_ms=row.received_at_ms,
        size_bytes=row.content.size_bytes,
        has_attachments=row.head.has_attachments,
        folder_ids=frozenset(row.shown_places),
        unread=is_unread(row.keywords),
        flagged=is_flagged(row.keywords),
    )


def document_facts(document: IndexDocument) -> MessageFacts:
    """Return the facts that the index knows; folders and states keep their defaults."""
    return MessageFacts(
        received_at_ms=document.received_at_ms,
        size_bytes=document.size_bytes,
        has_attachments=document.has_attachments,
    )


def matches(node: Node, texts: FieldTokens, facts: MessageFacts) -> bool:
    def holds(leaf: Leaf) -> bool:
        return has_words(leaf, texts) if isinstance(leaf, WordsNode) else is_true(leaf, facts)

    return evaluated(node, holds)


def is_true(fact: FactNode, of: MessageFacts) -> bool:
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
            return of.unread if state == "unread" else of.flagged


def has_words(words: WordsNode, texts: FieldTokens) -> bool:
    """Whether a field that `words` names has the tokens of `words` as neighbours, in order."""
    fields = SEARCHED_FIELDS if words.field is None else (words.field,)
    sequence, prefix = phrase(words)
    return any(_contains(texts[field], sequence, prefix=prefix) for field in fields)


def _contains(text: Sequence[str], sequence: tuple[str, ...], *, prefix: bool) -> bool:
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
