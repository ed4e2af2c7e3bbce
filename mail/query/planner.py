"""Split a query tree between the index and the message rows, and into tiers of relevance."""

import msgspec

from mail.query.narrowing import implied
from mail.query.tree import (
    EVERYTHING,
    NOTHING,
    And,
    Contains,
    DocumentLeaf,
    FactNode,
    HasAttachment,
    LargerThan,
    Leaf,
    Node,
    Not,
    Or,
    ReceivedBefore,
    SentBefore,
    WordsNode,
    leaves,
    map_leaves,
    negated,
    simplified,
)

HEAD = ("subject", "sender", "to", "cc", "bcc", "filenames")  # all of SEARCHED_FIELDS but the body


class IndexQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query for the index: texts, and bounds that a match must meet too. None: no bound."""

    text: Node = EVERYTHING  # its leaves are DocumentLeaf
    since_ms: int | None = None  # received then or later
    before_ms: int | None = None  # received earlier
    min_bytes: int | None = None
    max_bytes: int | None = None
    has_attachments: bool | None = None
    sent_since_day: int | None = None  # day of the Date field, as SentBefore counts days
    sent_before_day: int | None = None


class SearchPlan(msgspec.Struct, frozen=True):
    """A query divided. Matches of the query are matches of `index_query` that fulfil the condition.

    `row_condition` needs message rows. None: the index alone decides the query.
    """

    index_query: IndexQuery
    row_condition: Node | None


def plan_of(node: Node) -> SearchPlan:
    """Plan the search for `node`, which is in normal form."""
    index_query, texts, conditions = IndexQuery(), [], []
    for part in node.of if isinstance(node, And) else (node,):
        bounded = _with_bound(index_query, part)
        if bounded is not None:
            index_query = bounded
        elif all(isinstance(leaf, DocumentLeaf) for leaf in leaves(part)):
            texts.append(part)
        else:
            texts.append(_implied_texts(part))
            conditions.append(part)
    text = simplified(And(tuple(texts)))
    return SearchPlan(
        msgspec.structs.replace(index_query, text=text),
        simplified(And(tuple(conditions))) if conditions else None,
    )


def node_of(query: IndexQuery) -> Node:
    """Return `query` as one tree."""
    parts = [query.text]
    if query.since_ms is not None:
        parts.append(Not(ReceivedBefore(query.since_ms)))
    if query.before_ms is not None:
        parts.append(ReceivedBefore(query.before_ms))
    if query.min_bytes is not None:
        parts.append(LargerThan(query.min_bytes - 1))
    if query.max_bytes is not None:
        parts.append(Not(LargerThan(query.max_bytes)))
    if query.has_attachments is not None:
        has = HasAttachment()
        parts.append(has if query.has_attachments else Not(has))
    if query.sent_since_day is not None:
        parts.append(Not(SentBefore(query.sent_since_day)))
    if query.sent_before_day is not None:
        parts.append(SentBefore(query.sent_before_day))
    return And(tuple(parts))


def is_nothing(query: IndexQuery) -> bool:
    """Whether no document can match `query`."""
    low, high = query.min_bytes, query.max_bytes
    return query.text == NOTHING or (low is not None and high is not None and low > high)


def residual(node: Node, truth: dict[FactNode, bool]) -> Node:
    """Replace each fact in `node` by its truth, and return the condition on texts that is left."""

    def constant(leaf: Leaf) -> Node:
        if isinstance(leaf, DocumentLeaf):
            return leaf
        return EVERYTHING if truth[leaf] else NOTHING

    return map_leaves(node, constant)


def facts_in(node: Node) -> tuple[FactNode, ...]:
    """Return the leaves of `node` that the document does not decide, without repeats."""
    facts = (leaf for leaf in leaves(node) if not isinstance(leaf, DocumentLeaf))
    return tuple(dict.fromkeys(facts))


def tiers(node: Node) -> tuple[Node, ...]:
    """Divide `node` into queries without common matches, the most relevant first.

    The first tier is the mails with all words in the subject. The second needs names, addresses
    or file names too. The third needs the body. Words with a field of their own and excluded words
    do not affect relevance.
    """
    parts = node.of if isinstance(node, And) else (node,)
    ranked = And(tuple(part for part in parts if _narrowed(part, HEAD) != part))
    others = tuple(part for part in parts if part not in ranked.of)
    if not ranked.of:
        return (node,)
    subject, head = _narrowed(ranked, ("subject",)), _narrowed(ranked, HEAD)
    steps = ((subject,), (head, negated(subject)), (ranked, negated(head)))
    return tuple(simplified(And((*others, *step))) for step in steps)


def _narrowed(node: Node, fields: tuple[str, ...]) -> Node:
    """Restrict words without a field to `fields`; leave excluded words unchanged."""
    match node:
        case WordsNode(pieces, None, prefix):
            return simplified(Or(tuple(WordsNode(pieces, field, prefix) for field in fields)))
        case Contains(text, None):
            return simplified(Or(tuple(Contains(text, field) for field in fields)))
        case And(of):
            return simplified(And(tuple(_narrowed(part, fields) for part in of)))
        case Or(of):
            return simplified(Or(tuple(_narrowed(part, fields) for part in of)))
        case _:
            return node


def _with_bound(query: IndexQuery, part: Node) -> IndexQuery | None:
    """Return `query` with the bound `part` added.

    None: `part` is not a bound, or contradicts a bound of `query`.
    """
    bound = _bound(part)
    if bound is None:
        return None
    name, value = bound
    current = getattr(query, name)
    if name in _TIGHTER and current is not None:
        value = _TIGHTER[name](value, current)
    elif current not in {None, value}:
        return None
    return msgspec.structs.replace(query, **{name: value})


_TIGHTER = {
    "since_ms": max,
    "before_ms": min,
    "min_bytes": max,
    "max_bytes": min,
    "sent_since_day": max,
    "sent_before_day": min,
}


def _bound(part: Node) -> tuple[str, int] | None:
    """Return the field of IndexQuery that expresses `part`, and its value; None if there is not."""
    sign = not isinstance(part, Not)
    match part.of if isinstance(part, Not) else part:
        case ReceivedBefore(at_ms):
            return ("before_ms" if sign else "since_ms"), at_ms
        case LargerThan(size_bytes):
            return ("min_bytes", size_bytes + 1) if sign else ("max_bytes", size_bytes)
        case HasAttachment():
            return "has_attachments", sign
        case SentBefore(day):
            return ("sent_before_day" if sign else "sent_since_day"), day
        case _:
            return None


def _implied_texts(node: Node) -> Node:
    """Return a condition on texts that every match of `node` fulfils."""
    return implied(
        node,
        lambda leaf: leaf if isinstance(leaf, DocumentLeaf) else EVERYTHING,
        lambda leaf: leaf if isinstance(leaf, DocumentLeaf) else NOTHING,
    )
