"""Columns of a document in the full-text table, and the FTS5 expression of a query.

The column `about` has tokens for the owner, the size, attachments, the names of the header fields
and the message ids in the header; names and ids are hashed. They contain a
character that no text yields (mail/query/tokenizer.py), so no words of a query match them. Every
search requires the owner's token. The size token is the number of bits of the size; the table `doc`
has the exact size, for sizes with as many bits as a bound of the query.
"""

import hashlib
from collections.abc import Sequence

from mail.query.planner import IndexQuery
from mail.query.tokenizer import tokens
from mail.query.tree import (
    ID_FIELDS,
    SEARCHED_FIELDS,
    And,
    HeaderContains,
    Node,
    Not,
    Or,
    RelatedTo,
    WordsNode,
    phrase,
)
from schemas.ids import UserId
from schemas.search import IndexDocument

_MARK = "\ue000"  # private use: no text yields it
_ATTACHED = f"{_MARK}attached"
_BITS_MAX = 48
COLUMNS = ("about", *(f'"{field}"' for field in SEARCHED_FIELDS))


def columns(document: IndexDocument) -> tuple[str, ...]:
    """Return the text of each column: its tokens, joined by spaces."""
    about = [_owner(document.user_id), _bits(document.size_bytes)]
    if document.has_attachments:
        about.append(_ATTACHED)
    about += map(_field, sorted({name for name, _ in document.headers}))
    for field in ID_FIELDS:
        about += (_id(field, id_) for id_ in dict.fromkeys(document.header_ids.get(field, ())))
    texts = (tokens(getattr(document, field)) for field in SEARCHED_FIELDS)
    return tuple(map(" ".join, (about, *texts)))


def expression(user_id: UserId, query: IndexQuery) -> str:
    """Return the FTS5 expression of `query`, whose leaves tokens decide (mail/query/narrowing.py).

    It has no times and no days, and sizes by number of bits.
    """
    owner = f'about : "{_owner(user_id)}"'
    required = [owner]
    if query.min_bytes is not None or query.max_bytes is not None:
        required.append(_sizes(query))
    if query.has_attachments:
        required.append(f'about : "{_ATTACHED}"')
    not_attached = f' NOT about : "{_ATTACHED}"' if query.has_attachments is False else ""
    bounded = f"({' AND '.join(required)}{not_attached})"
    return _and(query.text.of if isinstance(query.text, And) else (query.text,), bounded)


def _node(node: Node, owner: str) -> str:
    """Return the expression of a node. NOT is binary in FTS5: negate within all of the owner."""
    match node:
        case And(of):
            return _and(of, owner)
        case Or(of):
            return f"({' OR '.join(_node(part, owner) for part in of)})"
        case Not():
            return _and((node,), owner)
        case WordsNode():
            return _words(node)
        case HeaderContains(name, ""):
            return f'about : "{_field(name)}"'
        case RelatedTo(id_, field):
            fields = (field,) if field else ID_FIELDS
            return f"about : ({' OR '.join(_quoted(_id(each, id_)) for each in fields)})"
        case _:
            msg = f"the index cannot search for {node}"
            raise ValueError(msg)


def _and(of: Sequence[Node], owner: str) -> str:
    required = [_node(part, owner) for part in of if not isinstance(part, Not)]
    excluded = [_node(part.of, owner) for part in of if isinstance(part, Not)]
    included = " AND ".join([owner, *required])
    return f"(({included}) NOT ({' OR '.join(excluded)}))" if excluded else f"({included})"


def _words(words: WordsNode) -> str:
    word_tokens, prefix = phrase(words)
    column = f'"{words.field}" : ' if words.field else ""
    return f'{column}"{" ".join(word_tokens)}"{" *" if prefix else ""}'


def _sizes(query: IndexQuery) -> str:
    low = _bit_length(query.min_bytes or 0)
    high = _BITS_MAX if query.max_bytes is None else _bit_length(query.max_bytes)
    any_of = " OR ".join(f'"{_MARK}bits{bits}"' for bits in range(low, high + 1))
    return f"about : ({any_of})"


def _bits(size_bytes: int) -> str:
    return f"{_MARK}bits{_bit_length(size_bytes)}"


def _bit_length(size_bytes: int) -> int:
    return min(max(size_bytes, 0).bit_length(), _BITS_MAX)


def _field(name: str) -> str:
    return f"{_MARK}field{_hashed(name, 8)}"


def _id(field: str, id_: str) -> str:
    return f"{_MARK}{field.replace('-', '')}{_hashed(id_, 16)}"


def _hashed(text: str, size_bytes: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=size_bytes).hexdigest()


def _quoted(token: str) -> str:
    return f'"{token}"'


def _owner(user_id: UserId) -> str:
    return _MARK + _hashed(user_id, 16)
