"""Query tree: the meaning of a search, independent of its text.

The search index decides `DocumentLeaf`, from the texts and header fields of a message. It also
knows arrival time, size and attachments, which never change. Only message rows know `RowFact`.
IMAP and JMAP build trees with the functions `containing`, `header_with` and `with_keyword`, which
return leaves in normal form, and make a Query of a tree with `query_of`.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

import msgspec

from mail.query.terms import QueryTerm
from mail.query.tokenizer import comparable, is_unspaced, pairs, tokens_of
from schemas.ids import FolderId, MessageId
from schemas.mailbox import FLAGGED, FOLDERS, SEEN

QUERY_MAX_CHARS = 1_000
TERMS_MAX = 50  # leaves of a tree
DEPTH_MAX = 20  # parentheses within parentheses
IDS_MAX = 1_000  # of one MessageIn
SEARCHED_FIELDS = ("subject", "sender", "to", "cc", "bcc", "body", "filenames")  # of IndexDocument
ID_FIELDS = ("message-id", "in-reply-to", "references")
PARTICIPANTS = ("sender", "to", "cc", "bcc")


class WordsNode(msgspec.Struct, frozen=True, tag=True):
    """A word or phrase in one field. `field` is in SEARCHED_FIELDS; None: any field.

    `pieces` are the pieces of mail/query/tokenizer.py, at least one. With `prefix`, the last piece
    matches the beginning of a word.
    """

    pieces: tuple[str, ...]
    field: str | None = None
    prefix: bool = False


class Contains(msgspec.Struct, frozen=True, tag=True):
    """A field contains `text` anywhere, inside a word too (RFC 9051 §6.4.4).

    `text` is not empty and in the form of `comparable`. `field` is in SEARCHED_FIELDS; None: any
    field.
    """

    text: str
    field: str | None = None


class HeaderContains(msgspec.Struct, frozen=True, tag=True):
    """A header field of this name has `text` in its value (SEARCH HEADER of RFC 9051 §6.4.4).

    `name` is in lower case; "": any field. `text` as in Contains; "": the field exists.
    """

    name: str
    text: str = ""


class RelatedTo(msgspec.Struct, frozen=True, tag=True):
    """A field of message ids has this id, without angle brackets (RFC 5322 §3.6.4).

    `field` is in ID_FIELDS; None: any of them.
    """

    id: str
    field: str | None = None


class SentBefore(msgspec.Struct, frozen=True, tag=True):
    """The day of the Date field, in the zone of that field, is earlier (SENTBEFORE of RFC 9051).

    `day` counts from 1970-01-01. Without a valid Date field it is the day of arrival in UTC.
    """

    day: int


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


class HasKeyword(msgspec.Struct, frozen=True, tag=True):
    """The message has this keyword, in lower case (RFC 8621 §4.1.1)."""

    keyword: str


class MessageIn(msgspec.Struct, frozen=True, tag=True):
    """The message is one of these, at most IDS_MAX."""

    message_ids: tuple[MessageId, ...]


class And(msgspec.Struct, frozen=True, tag=True):
    """Every part matches. Without parts: matches everything."""

    of: tuple["Node", ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    """At least one part matches. Without parts: matches nothing."""

    of: tuple["Node", ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    of: "Node"


DocumentLeaf = WordsNode | Contains | HeaderContains | RelatedTo | SentBefore
FixedFact = ReceivedBefore | LargerThan | HasAttachment  # a property of the mail, never changes
RowFact = InFolder | HasState | HasKeyword | MessageIn  # a property of the message row
FactNode = FixedFact | RowFact
Leaf = DocumentLeaf | FactNode
Node = (
    WordsNode
    | Contains
    | HeaderContains
    | RelatedTo
    | SentBefore
    | ReceivedBefore
    | LargerThan
    | HasAttachment
    | InFolder
    | HasState
    | HasKeyword
    | MessageIn
    | And
    | Or
    | Not
)
EVERYTHING = And(())
NOTHING = Or(())


class Query(msgspec.Struct, frozen=True):
    """A query tree in normal form.

    `cursor_scope` identifies the query in cursors: text and time zone, without the current time.
    `terms` are those of the text that the query was parsed from.
    """

    node: Node
    cursor_scope: str
    terms: tuple[QueryTerm, ...] = ()


def query_of(node: Node) -> Query:
    """Return the query of a tree; its cursors belong to equal trees."""
    node = simplified(node)
    digest = hashlib.blake2b(repr(node).encode("utf-8", "replace"), digest_size=16).hexdigest()
    return Query(node, digest)


def containing(text: str, field: str | None = None) -> Node:
    """Return the leaf for messages whose `field` contains `text`; every text contains ""."""
    text = comparable(text)
    return Contains(text, field) if text else EVERYTHING


def header_with(name: str, text: str = "") -> Node:
    """Return the leaf for messages with `text` in a header field; `name` "": in any field."""
    text = comparable(text).strip()
    return HeaderContains(name.lower(), text) if name or text else EVERYTHING


def with_keyword(keyword: str) -> Node:
    """Return the tree for messages with a keyword, in upper or lower case."""
    keyword = keyword.lower()
    if keyword == SEEN:
        return Not(HasState("unread"))
    return HasState("flagged") if keyword == FLAGGED else HasKeyword(keyword)


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
