import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.errors import BadQuery
from mail.query import QUERY_MAX_CHARS, TERMS_MAX, Query, Term, parse


def of(*terms: tuple[str, ...], field: str | None = None) -> Query:
    return Query(tuple(Term(words, field) for words in terms))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("hello  World", of(("hello",), ("world",))),
        ('"two words" x', of(("two", "words"), ("x",))),
        ("“two words”", of(("two", "words"))),
        ("bob@example.org", of(("bob", "example", "org"))),
        ("회의록", of(("회의", "의록"))),
        ("subject:hello", of(("hello",), field="subject")),
        ('Subject:"two words"', of(("two", "words"), field="subject")),
        ("from:bob.li", of(("bob", "li"), field="sender")),
        ("subject：회의", of(("회의",), field="subject")),
        ("a 🎉 — b", of(("a",), ("b",))),
        ("Re: budget", of(("re",), ("budget",))),
        ("10:30", of(("10", "30"))),
        ("https://a.example/b", of(("https", "a", "example", "b"))),
        ("mailto:a@b.example", of(("mailto", "a", "b", "example"))),
        ("std::vector C:\\x", of(("std", "vector"), ("c", "x"))),
        ('"foo:bar"', of(("foo", "bar"))),
        ("-not (or) OR", of(("not",), ("or",), ("or",))),
    ],
)
def test_what_a_query_means(query, expected):
    assert parse(query) == expected


@pytest.mark.parametrize(
    ("query", "position", "names"),
    [
        ("", 0, "no word"),
        (" \t", 0, "no word"),
        ("🎉 —", 0, "no word"),
        ('a "b c', 2, "never closed"),
        ('subject:"b', 8, "never closed"),
        ("x subject:", 10, "subject: needs"),
        ("from: bob", 5, "from: needs"),
        ("a subject:🎉", 10, "nothing to search for"),
        ('from:""', 5, "nothing to search for"),
        ("a foo:bar", 2, "subject:, from:"),
        ("x" * (QUERY_MAX_CHARS + 1), QUERY_MAX_CHARS, str(QUERY_MAX_CHARS)),
        ("x " * (TERMS_MAX + 1), 2 * TERMS_MAX, str(TERMS_MAX)),
    ],
)
def test_what_cannot_be_read_says_where_and_why(query, position, names):
    with pytest.raises(BadQuery) as caught:
        parse(query)
    assert caught.value.position == position
    assert names in caught.value.detail


def test_the_limits_themselves_are_taken():
    assert len(parse("x " * TERMS_MAX).all_of) == TERMS_MAX
    assert parse("x" * QUERY_MAX_CHARS)


@given(st.text(max_size=60) | st.text(alphabet='ab :"“한🎉\\', max_size=30))
def test_any_query_is_read_or_refused_within_itself(query):
    try:
        terms = parse(query).all_of
    except BadQuery as refused:
        where = refused.position
    else:
        where = 0
        assert terms
        assert all(term.tokens for term in terms)
    assert 0 <= where <= len(query)
