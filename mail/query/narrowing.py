"""Narrowing: what an index of tokens can decide of a query tree, and what needs the documents.

An index finds the messages of the narrowed tree, which are all matches and perhaps others, and then
decides each of them by its document (mail/query/matcher.py).
"""

from collections.abc import Callable

from mail.query.tokenizer import folded_pieces, is_unspaced
from mail.query.tree import (
    EVERYTHING,
    NOTHING,
    And,
    Contains,
    HeaderContains,
    Leaf,
    Node,
    Not,
    Or,
    RelatedTo,
    WordsNode,
    leaves,
    negated,
    simplified,
)

Decides = Callable[[Leaf], bool]
Implied = Callable[[Leaf], Node]  # a condition that a leaf implies


def is_indexed(leaf: Leaf) -> bool:
    """Whether tokens decide `leaf` exactly."""
    match leaf:
        case WordsNode() | RelatedTo():
            return True
        case HeaderContains(name, text):
            return bool(name) and not text
        case _:
            return False


def narrowed(node: Node, decides: Decides = is_indexed) -> Node:
    """Return a condition on tokens that every match of `node` fulfils.

    `decides`: whether the index decides a leaf; a part of what tokens decide. It decides single
    words.
    """
    return implied(
        node,
        lambda leaf: _narrowed_leaf(leaf, decides),
        lambda leaf: leaf if decides(leaf) else NOTHING,
    )


def to_verify(node: Node, decides: Decides = is_indexed) -> Node:
    """Return the parts of `node` that are not decided; EVERYTHING: all of it is decided."""
    parts = node.of if isinstance(node, And) else (node,)
    return simplified(And(tuple(part for part in parts if not all(map(decides, leaves(part))))))


def implied(node: Node, of_leaf: Implied, of_negated: Implied) -> Node:
    """Return a condition that every match of `node` fulfils, in normal form.

    `of_leaf` returns a condition that each message with the leaf fulfils; `of_negated` returns a
    condition that no message fulfils without the leaf.
    """
    match node:
        case And(of):
            return simplified(And(tuple(implied(part, of_leaf, of_negated) for part in of)))
        case Or(of):
            return simplified(Or(tuple(implied(part, of_leaf, of_negated) for part in of)))
        case Not(of):
            return negated(implied(of, of_negated, of_leaf))
        case _:
            return of_leaf(node)


def words_in(contains: Contains) -> WordsNode | None:
    """Return the words that every text with `contains.text` has; None: there may be none.

    A word at the start of the text may be the end of a longer word, and one at the end its
    beginning. Runs of scripts without spaces are found inside longer runs anyway.
    """
    text, words = contains.text, folded_pieces(contains.text)
    if words and text.startswith(words[0]) and not is_unspaced(words[0]):
        del words[0]
    if not words:
        return None
    prefix = text.endswith(words[-1]) and not is_unspaced(words[-1])
    return WordsNode(tuple(words), contains.field, prefix)


def _narrowed_leaf(leaf: Leaf, decides: Decides) -> Node:
    if decides(leaf):
        return leaf
    match leaf:
        case WordsNode(pieces, field, prefix):  # a phrase: its last word, and the words before it
            parts = WordsNode(pieces[:-1], field), WordsNode(pieces[-1:], field, prefix)
            return And(tuple(_narrowed_leaf(part, decides) for part in parts))
        case Contains():
            words = words_in(leaf)
            return EVERYTHING if words is None else _narrowed_leaf(words, decides)
        case HeaderContains(name) if name:
            return HeaderContains(name)
        case _:
            return EVERYTHING
