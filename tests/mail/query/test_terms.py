"""Terms of a query: the parts at the top level, each of which can be cut out of the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.errors import BadQuery
from mail.query.parser import parse
from mail.query.tree import And, QueryContext, simplified

CONTEXT = QueryContext(now_ms=0)
PIECES = [
    "word", '"a phrase"', "from:bob", "-is:unread", "(a OR b)", "a OR b", "NOT x", "pre*", "📎",
    "subject:(a b)", ")", "header:list-id", "NOT NOT y", "AND",
]  # fmt: skip


def terms(text: str) -> list[tuple]:
    return [
        (text[one.at : one.end], one.kind, one.field, one.value, one.negated)
        for one in parse(text, CONTEXT).terms
    ]


def test_terms_have_kind_field_and_value() -> None:
    assert terms('from:bob  -is:unread "last week"* NOT invoi* 영수증') == [
        ("from:bob", "field", "from", "bob", False),
        ("-is:unread", "field", "is", "unread", True),
        ('"last week"*', "phrase", "", "last week", False),
        ("NOT invoi*", "word", "", "invoi*", True),
        ("영수증", "word", "", "영수증", False),
    ]
    assert terms('subject:"a b" AND (x OR y) a OR b -(c) from:(d OR e)') == [
        ('subject:"a b"', "field", "subject", "a b", False),
        ("(x OR y)", "group", "", "(x OR y)", False),
        ("a OR b", "group", "", "a OR b", False),
        ("-(c)", "group", "", "-(c)", False),
        ("from:(d OR e)", "group", "", "from:(d OR e)", False),
    ]
    assert [one[1] for one in terms("NOT NOT a")] == ["group"]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8))
def test_the_terms_together_are_the_query(pieces: list[str]) -> None:
    text = " ".join(pieces)
    try:
        query = parse(text, CONTEXT)
    except BadQuery:
        return
    parts = []
    for one in query.terms:
        try:
            parts.append(parse(text[one.at : one.end], CONTEXT).node)
        except BadQuery as error:
            assert "no word" in str(error)  # noqa: PT017  # a term of a sign that is no word
    assert simplified(And(tuple(parts))) == query.node


@pytest.mark.parametrize("text", ["a", "from:bob", "-x", "(a)"])
def test_one_term_is_the_whole_text(text: str) -> None:
    (term,) = parse(text, CONTEXT).terms
    assert (term.at, term.end) == (0, len(text))
