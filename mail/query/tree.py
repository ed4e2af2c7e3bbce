"""Query tree: the meaning of a search, independent of its text.

The search index decides leaves about words. It also knows arrival time, size and attachments,
because they never change. Only message rows know `InFolder` and `HasState`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

import msgspec

from mail.query.tokenizer import is_unspaced, pairs, tokens_of
from schemas.ids import FolderId
from schemas.mailbox import FOLDERS

QUERY_MAX_CHARS = 1_000
TERMS_MAX = 50  # leaves of a tree
DEPTH_MAX = 20  # parentheses within parentheses
SEARCHED_FIELDS = ("subject", "sender", "to", "cc", "body", "filenames")  # fields of IndexDocument


class WordsNode(msgspec.Struct, frozen=True, tag=True):
    """A word or phrase in one field. `field` is in SEARCHED_FIELDS; None: any field.

    `pieces` are the pieces of mail/query/tokenizer.py, at least one. With `prefix`, the last piece
    matches the beginning of a word.
    """

    pieces: tuple[str, ...]
    field: str | None = None
    prefix: bool = False


class ReceivedBefore(msgspec.Struct, frozen=True, tag=True):
    """The message was received before this moment (Unix milliseconds)."""

    at_ms: int


class LargerThan(msgspec.Struct, frozen=True, tag=True):
    """The mail has more octets than this."""

    size_bytes: int


class HasAttachment(msgspec.Struct, frozen=True, tag=True):
    """The mail has an attachment."""


class InFolder(msgspec.Struct, frozen=True, tag=True):
    """The message is in this folder."""

    folder_id: FolderId


class HasState(msgspec.Struct, frozen=True, tag=True):
    """The message is `unread` or `flagged`."""

    state: str


class And(msgspec.Struct, frozen=True, tag=True):
    """Every part matches. Without parts: matches everything."""

    of: tuple["Node", ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    """At least one part matches. Without parts: matches nothing."""

    of: tuple["Node", ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    of: "Node"


FixedFact = ReceivedBefore | LargerThan | HasAttachment  # a property of the mail, never changes
RowFact = InFolder | HasState  # a property of the message row, changed by commands
FactNode = FixedFact | RowFact
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


def _standard_folders() -> dict[str, tuple[FolderId, ...]]:
    return {id_: (id_,) for id_ in FOLDERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryContext:
    """The time, time zone and folders that `older_than:`, dates and `in:` refer to."""

    now_ms: int
    zone: tzinfo = UTC
    folders: dict[str, tuple[FolderId, ...]] = field(  # ids by folded name
        default_factory=_standard_folders
    )


def phrase(words: WordsNode) -> tuple[tuple[str, ...], bool]:
    """Return the tokens that must be neighbours, and whether the last one is a prefix.

    A run of a script without spaces may end inside a longer run of the document. The last character
    of the run is then not a token of the document, so only the pairs are searched. A run of a
    single character is searched as a prefix.
    """
    *before, last = words.pieces
    tokens = tuple(token for piece in before for token in tokens_of(piece))
    if not is_unspaced(last):
        return (*tokens, last), words.prefix
    if len(last) == 1:
        return (*tokens, last), True
    return (*tokens, *pairs(last)), False


def simplified(node: Node) -> Node:
    """Return the normal form of `node`.

    The normal form has no And inside And, no Or inside Or, no repeated parts, no double Not, and no
    constant that does not change the result.
    """
    match node:
        case And(of):
            return _joined(And, of, idle=EVERYTHING, decisive=NOTHING)
        case Or(of):
            return _joined(Or, of, idle=NOTHING, decisive=EVERYTHING)
        case Not(of):
            return negated(simplified(of))
        case WordsNode(pieces, field, prefix=True) if is_unspaced(pieces[-1]):
            return WordsNode(pieces, field)  # each character of the run begins a token anyway
        case _:
            return node


def negated(node: Node) -> Node:
    """Return Not(node), in normal form if `node` is in normal form."""
    if isinstance(node, Not):
        return node.of
    if node == EVERYTHING:
        return NOTHING
    return EVERYTHING if node == NOTHING else Not(node)


def _joined(
    kind: type[And] | type[Or], of: tuple[Node, ...], *, idle: Node, decisive: Node
) -> Node:
    parts: dict[Node, None] = {}  # an ordered set
    for part in map(simplified, of):
        parts.update(dict.fromkeys(part.of if isinstance(part, kind) else (part,)))
    parts.pop(idle, None)
    if decisive in parts:
        return decisive
    if len(parts) == 1:
        return next(iter(parts))
    return kind(tuple(parts))


def leaves(node: Node) -> Iterator[Leaf]:
    """Iterate over the leaves, from left to right."""
    match node:
        case And(of) | Or(of):
            for part in of:
                yield from leaves(part)
        case Not(of):
            yield from leaves(of)
        case _:
            yield node


def map_leaves(node: Node, change: Callable[[Leaf], Node]) -> Node:
    """Return the tree with each leaf replaced by `change(leaf)`, in normal form."""

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
    """Return the truth of the tree, given the truth of each leaf."""
    match node:
        case And(of):
            return all(evaluated(part, holds) for part in of)
        case Or(of):
            return any(evaluated(part, holds) for part in of)
        case Not(of):
            return not evaluated(of, holds)
        case _:
            return holds(node)
