"""Terms of a search as its author sees them: the parts at the top level, with their positions.

A client shows each term as an element that can be removed: the text without `text[at:end]` is the
query without the term.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

_NEGATIONS = re.compile(r"(?:NOT\s+|-)?+")
_QUOTES = '"“”„‟＂'


class QueryTerm(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a query, which ends before `end`.

    `group`: alternatives, parentheses or several exclusions; its `value` is the text of the part.
    `field` is "" for words and phrases in any field.
    """

    at: int
    end: int
    kind: Literal["word", "phrase", "field", "group"]
    field: str
    value: str
    negated: bool


class TermLeaf(NamedTuple):
    """A word, phrase or value in the text of a query, with its field."""

    field: str
    start: int
    end: int


def term_of(text: str, at: int, end: int, leaves: Sequence[TermLeaf]) -> QueryTerm:
    """Return the term `text[at:end]`, in which the parser found `leaves`."""
    shown = text[at:end].rstrip()
    negation = _NEGATIONS.match(shown)
    rest = shown[negation.end() :] if negation else shown
    is_simple = len(leaves) == 1 and not rest.startswith(("(", "-", "NOT "))
    if not is_simple or "(" in rest[: leaves[0].start - at]:
        return QueryTerm(
            at=at, end=at + len(shown), kind="group", field="", value=shown, negated=False
        )
    (leaf,) = leaves
    value = text[leaf.start : leaf.end]
    is_phrase = value[:1] in {*_QUOTES}
    return QueryTerm(
        at=at,
        end=at + len(shown),
        kind="field" if leaf.field else "phrase" if is_phrase else "word",
        field=leaf.field,
        value=value[1:].rstrip("*").rstrip(_QUOTES) if is_phrase else value,
        negated=len(rest) < len(shown),
    )
