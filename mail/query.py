"""What a person types to search, read into what an index must find.

    query  = 1*( [ field ":" ] ( word / phrase ) )     ; all of them must be found
    field  = "subject" / "from"                        ; in any case
    word   = anything up to white space or a quote
    phrase = <"> anything but quotes <">               ; typographic quotes count as quotes

A word or phrase stands for the tokens (mail/text.py) it is made of, side by side and in this order
inside one field of the document: `alice@example.org` is found where these three words follow each
other. What has no token (an emoji, a dash) asks for nothing and is passed over.

`name:` with an unknown name is an error, so that a misspelt field never finds the wrong mails; not
so where it ends the word ("Re: budget") or belongs to something else (10:30, https://a.example,
mailto:a@b.example, std::vector). OR, NOT and parentheses have no meaning yet: they are words.
"""

import re
from collections.abc import Iterator

import msgspec

from mail.errors import BadQuery
from mail.text import tokens
from schemas.records import IndexDocument

QUERY_MAX_CHARS = 1_000
TERMS_MAX = 50
SEARCHED = ("subject", "sender", "recipients", "body", "filenames")  # fields of IndexDocument
FIELDS = {"subject": "subject", "from": "sender"}  # as typed: as in IndexDocument

_NO_FIELDS = frozenset({"mailto", "tel", "urn"})  # schemes of addresses without "//"
_QUOTES = '"“”„‟＂'
_FIELD = re.compile(r"([A-Za-z][A-Za-z_-]+)[:：]")  # two letters: C:\ is none
_PHRASE = re.compile(f"[{_QUOTES}]([^{_QUOTES}]*)[{_QUOTES}]")
_WORD = re.compile(rf"[^\s{_QUOTES}]+")
_SPACE = re.compile(r"\s*")


class Term(msgspec.Struct, frozen=True):
    """Tokens side by side in one field; `field` is one of SEARCHED, None: in any of them."""

    tokens: tuple[str, ...]
    field: str | None = None


class Query(msgspec.Struct, frozen=True):
    """What a document must hold: every term. At least one, at most TERMS_MAX."""

    all_of: tuple[Term, ...]


def words_of(document: IndexDocument) -> dict[str, list[str]]:
    """The tokens of each searched field: what queries are held against."""
    return {field: tokens(getattr(document, field)) for field in SEARCHED}


def parse(query: str) -> Query:
    """The meaning of `query`. BadQuery: detail fit for who typed it, and where it went wrong."""
    if len(query) > QUERY_MAX_CHARS:
        raise BadQuery(f"a search has at most {QUERY_MAX_CHARS} characters", QUERY_MAX_CHARS)
    terms: list[Term] = []
    for term, position in _terms(query):
        if len(terms) == TERMS_MAX:
            raise BadQuery(f"a search has at most {TERMS_MAX} words and phrases", position)
        terms.append(term)
    if not terms:
        raise BadQuery("there is no word to search for", 0)
    return Query(tuple(terms))


def _terms(query: str) -> Iterator[tuple[Term, int]]:
    """Each term that asks for something, and where it begins."""
    position = _spaces(query, 0)
    while position < len(query):
        start, field = position, None
        if _is_field(query, position):
            field, position = _field(query, position)
        text, end = _text(query, position)
        found = tuple(tokens(text))
        if found:
            yield Term(found, field), start
        elif field is not None:
            raise BadQuery(f"{query[start:position]} has nothing to search for", position)
        position = _spaces(query, end)


def _is_field(query: str, position: int) -> bool:
    """Whether `name:` begins here and is meant as a field."""
    match = _FIELD.match(query, position)
    if match is None or match[1].lower() in _NO_FIELDS:
        return False
    if match[1].lower() in FIELDS:
        return True
    follows = query[match.end() : match.end() + 2]
    return bool(follows.strip()) and not follows[0].isspace() and not _is_elsewhere(follows)


def _is_elsewhere(follows: str) -> bool:
    """Whether what follows the colon tells of an address, a path or a program's name."""
    return follows == "//" or follows[0] in ":\\"


def _field(query: str, position: int) -> tuple[str, int]:
    match = _FIELD.match(query, position)
    assert match is not None
    name = match[1].lower()
    if name not in FIELDS:
        known = ", ".join(f"{field}:" for field in FIELDS)
        raise BadQuery(
            f"there is no field {name}: (known: {known}); put it in quotes to search for the text",
            position,
        )
    if not query[match.end() : match.end() + 1].strip():
        raise BadQuery(f"{name}: needs a word or a phrase right behind it", match.end())
    return FIELDS[name], match.end()


def _text(query: str, position: int) -> tuple[str, int]:
    """The word or phrase at `position`, and where it ends."""
    if query[position] in _QUOTES:
        match = _PHRASE.match(query, position)
        if match is None:
            raise BadQuery("a quote is opened here and never closed", position)
        return match[1], match.end()
    match = _WORD.match(query, position)
    assert match is not None
    return match[0], match.end()


def _spaces(query: str, position: int) -> int:
    match = _SPACE.match(query, position)
    assert match is not None
    return match.end()
