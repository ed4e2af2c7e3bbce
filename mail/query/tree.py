"""What a search asks for, as a tree: the meaning of a query, apart from how it is typed.

Leaves about text are answered by the search index. Leaves about time, size and attachments are
known to the index too, for they never change. `InFolder` and `HasState` are known only to message
rows. mail/query/parser.py reads a tree from what a person types, mail/query/formatter.py writes it
down, mail/query/matcher.py says by definition what matches it, mail/query/planner.py what to ask of
whom.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

import msgspec

from mail.query.tokenizer import is_unspaced, pairs, tokens_of
from schemas.mailbox import FOLDERS

QUERY_MAX_CHARS = 1_000
TERMS_MAX = 50  # leaves of a tree
DEPTH_MAX = 20  # parentheses within parentheses
SEARCHED = ("subject", "sender", "to", "cc", "body", "filenames")  # fields of IndexDocument


class WordsNode(msgspec.Struct, frozen=True, tag=True):
    """Words side by side in one field; `field` is one of SEARCHED, None: in any one of them.

    `pieces` are those of mail/query/tokenizer.py, at least one; with `prefix` the last is a word's
    beginning.
    """

    pieces: tuple[str, ...]
    field: str | None = None
    prefix: bool = False


class ReceivedBefore(msgspec.Struct, frozen=True, tag=True):
    """Received earlier than this moment."""

    at_ms: int


class LargerThan(msgspec.Struct, frozen=True, tag=True):
    """Of more octets than this."""

    size_bytes: int


class HasAttachment(msgspec.Struct, frozen=True, tag=True):
    """Something is attached to it."""


class InFolder(msgspec.Struct, frozen=True, tag=True):
    """It lies in this folder."""

    folder_id: str


class HasState(msgspec.Struct, frozen=True, tag=True):
    """`unread` or `flagged`; what is read is not unread."""

    state: str


class And(msgspec.Struct, frozen=True, tag=True):
    """All of them; of none: everything."""

    of: tuple["Node", ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    """Any of them; of none: nothing."""

    of: tuple["Node", ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    of: "Node"


Lasting = ReceivedBefore | LargerThan | HasAttachment  # a mail's own, for ever
Passing = InFolder | HasState  # a message row's, until it is changed
FactNode = Lasting | Passing
Leaf = WordsNode | FactNode
Node = (
    WordsNode | ReceivedBefore | LargerThan | HasAttachment | InFolder | HasState | And | Or | Not
)
EVERYTHING = And(())
NOTHING = Or(())


class Query(msgspec.Struct, frozen=True):
    """A query tree in normal form.

    `cursor_scope` identifies the query in cursors: text and time zone, without the current time.
    """

    node: Node
    cursor_scope: str


def _standard() -> dict[str, tuple[str, ...]]:
    return {id_: (id_,) for id_ in FOLDERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryContext:
    """Who asks and when: what `older_than:`, dates and folders' names refer to."""

    now_ms: int
    zone: tzinfo = UTC
    folders: dict[str, tuple[str, ...]] = field(default_factory=_standard)  # folded name: ids


def phrase(words: WordsNode) -> tuple[tuple[str, ...], bool]:
    """The tokens to be found side by side, and whether the last one is only a beginning.

    The end of a run of a script without spaces may lie within a longer run: its last character
    is then no token of its own. Alone, it is the beginning of one.
    """
    *before, last = words.pieces
    tokens = tuple(token for piece in before for token in tokens_of(piece))
    if not is_unspaced(last):
        return (*tokens, last), words.prefix
    if len(last) == 1:
        return (*tokens, last), True
    return (*tokens, *pairs(last)), False


def simplified(node: Node) -> Node:
    """The normal form: no tree within its like, nothing twice, no double Not, no idle constant."""
    match node:
        case And(of):
            return _joined(And, of, idle=EVERYTHING, decisive=NOTHING)
        case Or(of):
            return _joined(Or, of, idle=NOTHING, decisive=EVERYTHING)
        case Not(of):
            return negated(simplified(of))
        case WordsNode(pieces, field, prefix=True) if is_unspaced(pieces[-1]):
            return WordsNode(pieces, field)  # each of its characters begins a token anyway
        case _:
            return node


def negated(node: Node) -> Node:
    """Not `node`, in normal form when `node` is."""
    if isinstance(node, Not):
        return node.of
    if node == EVERYTHING:
        return NOTHING
    return EVERYTHING if node == NOTHING else Not(node)


def _joined(
    kind: type[And] | type[Or], of: tuple[Node, ...], *, idle: Node, decisive: Node
) -> Node:
    parts: dict[Node, None] = {}  # a set that keeps the order
    for part in map(simplified, of):
        parts.update(dict.fromkeys(part.of if isinstance(part, kind) else (part,)))
    parts.pop(idle, None)
    if decisive in parts:
        return decisive
    if len(parts) == 1:
        return next(iter(parts))
    return kind(tuple(parts))


def leaves(node: Node) -> Iterator[Leaf]:
    """Every leaf, from left to right."""
    match node:
        case And(of) | Or(of):
            for part in of:
                yield from leaves(part)
        case Not(of):
            yield from leaves(of)
        case _:
            yield node


def replaced(node: Node, change: Callable[[Leaf], Node]) -> Node:
    """The tree with `change` made of each leaf, in normal form."""

    def walk(node: Node) -> Node:
        match node:
            case And(of):
                return And(tuple(map(walk, of)))
            case Or(of):
                return Or(tuple(map(walk, of)))
            case Not(of):
                return Not(walk(of))
            case _:
                return change(node)

    return simplified(walk(node))


def evaluated(node: Node, holds: Callable[[Leaf], bool]) -> bool:
    """The tree's truth, given each leaf's."""
    match node:
        case And(of):
            return all(evaluated(part, holds) for part in of)
        case Or(of):
            return any(evaluated(part, holds) for part in of)
        case Not(of):
            return not evaluated(of, holds)
        case _:
            return holds(node)
