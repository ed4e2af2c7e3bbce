"""What matches a query, by definition: slow, plain, and what every index is held to."""

from collections.abc import Sequence

import msgspec

from mail.query.tokenizer import tokens
from mail.query.tree import (
    SEARCHED,
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
from schemas.mailbox import FLAGGED, SEEN, Message
from schemas.search import IndexDocument


class MessageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of a message apart from its text."""

    received_at_ms: int
    size_bytes: int
    has_attachments: bool
    folder_ids: frozenset[str] = frozenset()
    unread: bool = False
    flagged: bool = False


FieldTokens = dict[str, list[str]]  # the tokens of each of SEARCHED


def texts_of(document: IndexDocument) -> FieldTokens:
    """The tokens of each searched field: what queries are held against."""
    return {field: tokens(getattr(document, field)) for field in SEARCHED}


def facts_of(row: Message) -> MessageFacts:
    return MessageFacts(
        received_at_ms=row.received_at_ms,
        size_bytes=row.content.size_bytes,
        has_attachments=row.head.has_attachments,
        folder_ids=frozenset(row.places),
        unread=SEEN not in row.keywords,
        flagged=FLAGGED in row.keywords,
    )


def lasting_facts(document: IndexDocument) -> MessageFacts:
    """Those that the index knows."""
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
    """Whether the tokens stand side by side in a field that is asked for."""
    fields = SEARCHED if words.field is None else (words.field,)
    wanted, prefix = phrase(words)
    return any(_within(texts[field], wanted, prefix=prefix) for field in fields)


def _within(found: Sequence[str], wanted: tuple[str, ...], *, prefix: bool) -> bool:
    *before, last = wanted
    length = len(wanted)
    return any(
        found[start : start + length - 1] == before
        and (
            found[start + length - 1].startswith(last)
            if prefix
            else found[start + length - 1] == last
        )
        for start in range(len(found) - length + 1)
    )
