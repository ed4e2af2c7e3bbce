"""What the full-text table holds of a document, and how a search is said in FTS5's language.

Besides its texts a document has tokens `about` it: of its owner, of its size, and one when
something is attached. They hold a character that no text yields (mail/query/tokenizer.py), so that
no words can name them. Every search demands the owner's. Sizes are known by their number of bits
there: an exact bound leaves it to the table `doc` to tell apart those of as many bits.
"""

import hashlib
from collections.abc import Sequence

from mail.query.planner import IndexQuery
from mail.query.tokenizer import tokens
from mail.query.tree import SEARCHED_FIELDS, And, Node, Not, Or, WordsNode, phrase
from schemas.search import IndexDocument

_MARK = "\ue000"  # private use: never a letter
_ATTACHED = f"{_MARK}attached"
_BITS_MAX = 48
COLUMNS = ("about", *(f'"{field}"' for field in SEARCHED_FIELDS))


def columns(document: IndexDocument) -> tuple[str, ...]:
    """The tokens of each column, as FTS5 is given them."""
    about = [_owner(document.user_id), _bits(document.size_bytes)]
    if document.has_attachments:
        about.append(_ATTACHED)
    texts = (tokens(getattr(document, field)) for field in SEARCHED_FIELDS)
    return tuple(map(" ".join, (about, *texts)))


def expression(user_id: str, query: IndexQuery) -> str:
    """All of `query` but its times, and sizes only as near as their bits."""
    owner = f'about : "{_owner(user_id)}"'
    demanded = [owner]
    if query.min_bytes is not None or query.max_bytes is not None:
        demanded.append(_sizes(query))
    if query.has_attachments:
        demanded.append(f'about : "{_ATTACHED}"')
    attached_not = f' NOT about : "{_ATTACHED}"' if query.has_attachments is False else ""
    bounded = f"({' AND '.join(demanded)}{attached_not})"
    return _and(query.text.of if isinstance(query.text, And) else (query.text,), bounded)


def _node(node: Node, owner: str) -> str:
    """FTS5's NOT stands between two: what is only excluded is excluded from all of the owner's."""
    match node:
        case And(of):
            return _and(of, owner)
        case Or(of):
            return f"({' OR '.join(_node(part, owner) for part in of)})"
        case Not():
            return _and((node,), owner)
        case WordsNode():
            return _words(node)
        case _:
            msg = f"an index knows nothing of {node}"
            raise ValueError(msg)


def _and(of: Sequence[Node], owner: str) -> str:
    demanded = [_node(part, owner) for part in of if not isinstance(part, Not)]
    excluded = [_node(part.of, owner) for part in of if isinstance(part, Not)]
    both = " AND ".join([owner, *demanded])
    return f"(({both}) NOT ({' OR '.join(excluded)}))" if excluded else f"({both})"


def _words(words: WordsNode) -> str:
    found, prefix = phrase(words)
    column = f'"{words.field}" : ' if words.field else ""
    return f'{column}"{" ".join(found)}"{" *" if prefix else ""}'


def _sizes(query: IndexQuery) -> str:
    low = _bit_length(query.min_bytes or 0)
    high = _BITS_MAX if query.max_bytes is None else _bit_length(query.max_bytes)
    any_of = " OR ".join(f'"{_MARK}bits{bits}"' for bits in range(low, high + 1))
    return f"about : ({any_of})"


def _bits(size_bytes: int) -> str:
    return f"{_MARK}bits{_bit_length(size_bytes)}"


def _bit_length(size_bytes: int) -> int:
    return min(max(size_bytes, 0).bit_length(), _BITS_MAX)


def _owner(user_id: str) -> str:
    return _MARK + hashlib.blake2b(user_id.encode(), digest_size=16).hexdigest()
