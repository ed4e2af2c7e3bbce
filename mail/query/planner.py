"""A tree divided: what the index is asked, what message rows have to tell, what comes first."""

import msgspec

from mail.query.tree import (
    EVERYTHING,
    NOTHING,
    And,
    FactNode,
    HasAttachment,
    LargerThan,
    Leaf,
    Node,
    Not,
    Or,
    ReceivedBefore,
    WordsNode,
    leaves,
    negated,
    replaced,
    simplified,
)

HEAD = ("subject", "sender", "to", "cc", "filenames")  # all of SEARCHED but the body


class IndexQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What an index is asked: words, and bounds that must hold besides. None: no bound."""

    text: Node = EVERYTHING  # of Words alone
    since_ms: int | None = None  # received then or later
    before_ms: int | None = None  # received earlier
    min_bytes: int | None = None
    max_bytes: int | None = None
    has_attachments: bool | None = None


class Plan(msgspec.Struct, frozen=True):
    """`wanted` finds all that matches. What it finds matches if `rest` is true of it too."""

    wanted: IndexQuery
    rest: Node | None


def plan_of(node: Node) -> Plan:
    """`node` is in normal form."""
    wanted, texts, rest = IndexQuery(), [], []
    for part in node.of if isinstance(node, And) else (node,):
        bounded = _bounded(wanted, part)
        if bounded is not None:
            wanted = bounded
        elif all(isinstance(leaf, WordsNode) for leaf in leaves(part)):
            texts.append(part)
        else:
            texts.append(_at_most(part, sign=True))
            rest.append(part)
    text = simplified(And(tuple(texts)))
    return Plan(
        msgspec.structs.replace(wanted, text=text),
        simplified(And(tuple(rest))) if rest else None,
    )


def node_of(wanted: IndexQuery) -> Node:
    """All of `wanted` as one tree."""
    parts = [wanted.text]
    if wanted.since_ms is not None:
        parts.append(Not(ReceivedBefore(wanted.since_ms)))
    if wanted.before_ms is not None:
        parts.append(ReceivedBefore(wanted.before_ms))
    if wanted.min_bytes is not None:
        parts.append(LargerThan(wanted.min_bytes - 1))
    if wanted.max_bytes is not None:
        parts.append(Not(LargerThan(wanted.max_bytes)))
    if wanted.has_attachments is not None:
        has = HasAttachment()
        parts.append(has if wanted.has_attachments else Not(has))
    return And(tuple(parts))


def is_nothing(wanted: IndexQuery) -> bool:
    """Whether no document can be found."""
    low, high = wanted.min_bytes, wanted.max_bytes
    return wanted.text == NOTHING or (low is not None and high is not None and low > high)


def residual(node: Node, truth: dict[FactNode, bool]) -> Node:
    """What is left to ask about words, once the facts are known."""

    def known(leaf: Leaf) -> Node:
        if isinstance(leaf, WordsNode):
            return leaf
        return EVERYTHING if truth[leaf] else NOTHING

    return replaced(node, known)


def facts_in(node: Node) -> tuple[FactNode, ...]:
    """Its leaves that are not about words, each once."""
    return tuple(dict.fromkeys(leaf for leaf in leaves(node) if not isinstance(leaf, WordsNode)))


def tiers(node: Node) -> tuple[Node, ...]:
    """By relevance: `node` in parts that share no match, the most relevant first.

    First the mails that hold all the words in their subject, then those that need names,
    addresses or names of files too, then those that need the body. Words with a field of their
    own, and words that are excluded, tell nothing apart.
    """
    parts = node.of if isinstance(node, And) else (node,)
    telling = And(tuple(part for part in parts if _narrowed(part, HEAD) != part))
    others = tuple(part for part in parts if part not in telling.of)
    if not telling.of:
        return (node,)
    subject, head = _narrowed(telling, ("subject",)), _narrowed(telling, HEAD)
    steps = ((subject,), (head, negated(subject)), (telling, negated(head)))
    return tuple(simplified(And((*others, *step))) for step in steps)


def _narrowed(node: Node, fields: tuple[str, ...]) -> Node:
    """Words that may stand anywhere, in these fields only; what is excluded stays as it is."""
    match node:
        case WordsNode(pieces, None, prefix):
            return simplified(Or(tuple(WordsNode(pieces, field, prefix) for field in fields)))
        case And(of):
            return simplified(And(tuple(_narrowed(part, fields) for part in of)))
        case Or(of):
            return simplified(Or(tuple(_narrowed(part, fields) for part in of)))
        case _:
            return node


def _bounded(wanted: IndexQuery, part: Node) -> IndexQuery | None:
    """`wanted` with one more bound; None when `part` is none, or none that goes with the others."""
    bound = _bound(part)
    if bound is None:
        return None
    name, value = bound
    before = getattr(wanted, name)
    if name in _TIGHTER and before is not None:
        value = _TIGHTER[name](value, before)
    elif before not in {None, value}:
        return None
    return msgspec.structs.replace(wanted, **{name: value})


_TIGHTER = {"since_ms": max, "before_ms": min, "min_bytes": max, "max_bytes": min}


def _bound(part: Node) -> tuple[str, int] | None:
    """A field of Wanted and its value, when `part` says no more than that."""
    sign = not isinstance(part, Not)
    match part.of if isinstance(part, Not) else part:
        case ReceivedBefore(at_ms):
            return ("before_ms" if sign else "since_ms"), at_ms
        case LargerThan(size_bytes):
            return ("min_bytes", size_bytes + 1) if sign else ("max_bytes", size_bytes)
        case HasAttachment():
            return "has_attachments", sign
        case _:
            return None


def _at_most(node: Node, *, sign: bool) -> Node:
    """Words that hold wherever `node` does; with `sign` False, only where it does."""
    match node:
        case And(of):
            return simplified(And(tuple(_at_most(part, sign=sign) for part in of)))
        case Or(of):
            return simplified(Or(tuple(_at_most(part, sign=sign) for part in of)))
        case Not(of):
            return negated(_at_most(of, sign=not sign))
        case WordsNode():
            return node
        case _:
            return EVERYTHING if sign else NOTHING
