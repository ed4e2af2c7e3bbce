"""What a person types to search, read into a tree (mail/query/tree.py).

    query  = 1*either                            ; all of them; AND may stand between two
    either = part *( "OR" part )                 ; any of them: OR holds closer than what is
    part   = [ "-" / "NOT" ] one                 ;   side by side, `a b OR c` is a (b OR c)
    one    = [ field ":" ] ( word / phrase / "(" query ")" )
    word   = up to white space, quote or parenthesis; "*" at its end: the beginning of a word
    phrase = <"> anything but quotes <"> [ "*" ] ; typographic quotes count as quotes

    from: to: cc: subject: body: filename:   words in that field, `from:(ann OR bob)` too
    in: a folder's id or name, or anywhere   is: unread read flagged   has: attachment
    before: after:            2026, 2026-11, 2026-11-24 (or 2026/11/24): from its first moment in
                              the asker's zone; or a moment of RFC 3339
    older_than: newer_than:   7d 2w 3m 1y before now, by the calendar
    larger: smaller:          5000 20K 5M 1.5G octets

A word or phrase stands for the tokens (mail/query/tokenizer.py) it is made of, side by side and in
this order inside one field of the document: `alice@example.org` is found where these three words
follow each other. What has no token (an emoji, a dash) asks for nothing and is passed over.

OR, AND and NOT are operators in capitals only, `-` only before what it excludes: `well-known` is
a word. A parenthesis without its counterpart, as of a smiley, separates words and groups nothing.
`name:` with an unknown name is an error, so that a misspelt field never finds the wrong
mails; not so where it ends the word ("Re: budget") or belongs to something else (10:30,
https://a.example, mailto:a@b.example, std::vector).
"""

import re

from mail.errors import BadQuery
from mail.query.fields import FIELDS, TEXT_FIELDS, VALUE_FIELDS
from mail.query.tokenizer import pieces
from mail.query.tree import (
    DEPTH_MAX,
    QUERY_MAX_CHARS,
    TERMS_MAX,
    And,
    Node,
    Not,
    Or,
    Query,
    QueryContext,
    WordsNode,
    simplified,
)

_NO_FIELDS = frozenset({"mailto", "tel", "urn"})  # schemes of addresses without "//"
_QUOTES = '"“”„‟＂'
_FIELD = re.compile(r"([A-Za-z][A-Za-z_-]+)[:：]")  # two letters: C:\ is none
_PHRASE = re.compile(f"[{_QUOTES}]([^{_QUOTES}]*)[{_QUOTES}]")
_WORD = re.compile(rf"[^\s{_QUOTES}()]+")
_SPACE = re.compile(r"\s*")
_OPERATOR = re.compile(rf"(?:OR|AND|NOT)(?![^\s{_QUOTES}()])")
_MINUS = re.compile(r"-(?![\s)-]|\Z)")
_LETTER = "[0-9A-Za-z\x80-\U0010ffff]"  # as near as a * has to know
_STAR_WITHIN = re.compile(rf"\*(?={_LETTER})|(?<={_LETTER})\*(?!\Z)")
_BEGINNING = re.compile(rf"{_LETTER}\*\Z")


def parse(text: str, asker: QueryContext) -> Query:
    """The meaning of `text`. BadQuery: detail fit for who typed it, and where it went wrong."""
    if len(text) > QUERY_MAX_CHARS:
        raise BadQuery(f"a search has at most {QUERY_MAX_CHARS} characters", QUERY_MAX_CHARS)
    node = _Reader(_with_pairs_only(text), asker).query(None, 0)
    if node is None:
        raise BadQuery("there is no word to search for", 0)
    return Query(simplified(node), f"{asker.zone} {text}")


def _with_pairs_only(text: str) -> str:
    """`text` with a space for each parenthesis that has no counterpart or nothing to group."""
    letters, opened = list(text), list[int]()
    position = 0
    while position < len(text):
        if phrase := _PHRASE.match(text, position):
            position = phrase.end()
            continue
        if text[position] == "(":
            opened.append(position)
        elif text[position] == ")" and opened:
            start = opened.pop()
            if not "".join(letters[start + 1 : position]).strip():
                letters[start] = letters[position] = " "
        elif text[position] == ")":
            letters[position] = " "
        position += 1
    for start in opened:
        letters[start] = " "
    return "".join(letters)


class _Reader:
    """Reads from left to right; `position` is what comes next. None: what asks for nothing."""

    def __init__(self, text: str, asker: QueryContext) -> None:
        self.position = 0
        self._text = text
        self._asker = asker
        self._terms = 0

    def query(self, field: str | None, depth: int) -> Node | None:
        """Up to the end, or to a parenthesis that closes."""
        found: list[Node] = []
        while not self._at_end():
            either = self._either(field, depth)
            found += [] if either is None else [either]
            self._pass_and()
        return And(tuple(found)) if found else None

    def _either(self, field: str | None, depth: int) -> Node | None:
        found = [self._part(field, depth)]
        while self._operator() == "OR":
            start = self.position
            self.position += len("OR")
            if self._at_end():
                raise BadQuery("OR needs something to search for on its right", start)
            found.append(self._part(field, depth))
        asked = tuple(part for part in found if part is not None)
        return Or(asked) if asked else None

    def _pass_and(self) -> None:
        if self._operator() != "AND":
            return
        start = self.position
        self.position += len("AND")
        if self._at_end():
            raise BadQuery("AND needs something to search for on its right", start)

    def _part(self, field: str | None, depth: int) -> Node | None:
        operator = self._operator()
        if operator in {"OR", "AND"}:
            raise BadQuery(
                f"{operator} stands between two things to search for; put it in quotes to "
                "search for the word",
                self.position,
            )
        if operator == "NOT" or _MINUS.match(self._text, self.position):
            return self._negated(operator or "-", field, depth)
        return self._one(field, depth)

    def _negated(self, operator: str, field: str | None, depth: int) -> Node | None:
        start = self._deeper(depth)
        self.position += len(operator)
        if self._at_end():
            raise BadQuery(f"{operator} needs something to exclude", start)
        part = self._part(field, depth + 1)
        return None if part is None else Not(part)

    def _one(self, field: str | None, depth: int) -> Node | None:
        start = self.position
        if self._is_field():
            if field is not None:
                raise BadQuery(f"{field}: can have no other field in its parentheses", start)
            field = self._field()
        if self._text[self.position] == "(":
            return self._group(field, depth)
        return self._term(field, start)

    def _group(self, field: str | None, depth: int) -> Node | None:
        self._deeper(depth)
        self.position += 1
        node = self.query(field, depth + 1)
        self.position += 1
        return node

    def _deeper(self, depth: int) -> int:
        """The position, if what comes next may stand within so much."""
        if depth == DEPTH_MAX:
            raise BadQuery(
                f"at most {DEPTH_MAX} parentheses and exclusions within each other", self.position
            )
        return self.position

    def _term(self, field: str | None, start: int) -> Node | None:
        position = self.position
        if field in VALUE_FIELDS:
            text = self._phrase()[0] if self._text[position] in _QUOTES else self._bare(field)
            node = VALUE_FIELDS[field].read(text, self._asker)
            if node is None:
                raise BadQuery(f"{field}: is followed by {VALUE_FIELDS[field].takes}", position)
        else:
            node = self._words(field)
            if node is None and field is not None:
                raise BadQuery(f"{field}: has nothing to search for", position)
        self._count(start)
        return node

    def _count(self, start: int) -> None:
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise BadQuery(f"a search has at most {TERMS_MAX} words and phrases", start)

    def _words(self, field: str | None) -> Node | None:
        start = self.position
        if self._text[start] in _QUOTES:
            text, prefix = self._phrase()
        else:
            text = self._bare(field)
            prefix = _BEGINNING.search(text) is not None
            if within := _STAR_WITHIN.search(text):
                raise BadQuery("a * stands at the end of a word only", start + within.start())
        found = tuple(pieces(text))
        return WordsNode(found, TEXT_FIELDS.get(field or ""), prefix) if found else None

    def _bare(self, field: str | None) -> str:
        """Up to white space, a quote or a parenthesis."""
        match = _WORD.match(self._text, self.position)
        if match is None:
            raise BadQuery(f"{field}: needs a word or a phrase right behind it", self.position)
        self.position = match.end()
        return match[0]

    def _phrase(self) -> tuple[str, bool]:
        match = _PHRASE.match(self._text, self.position)
        if match is None:
            raise BadQuery("a quote is opened here and never closed", self.position)
        prefix = self._text[match.end() : match.end() + 1] == "*"
        self.position = match.end() + prefix
        return match[1], prefix

    def _is_field(self) -> bool:
        """Whether `name:` comes next and is meant as a field."""
        match = _FIELD.match(self._text, self.position)
        if match is None or match[1].lower() in _NO_FIELDS:
            return False
        if match[1].lower() in FIELDS:
            return True
        follows = self._text[match.end() : match.end() + 2]
        return bool(follows.strip()) and not follows[0].isspace() and not _is_elsewhere(follows)

    def _field(self) -> str:
        match = _FIELD.match(self._text, self.position)
        assert match is not None
        name = match[1].lower()
        if name not in FIELDS:
            known = ", ".join(f"{field}:" for field in FIELDS)
            raise BadQuery(
                f"there is no field {name}: (known: {known}); put it in quotes to search for "
                "the text",
                self.position,
            )
        if not self._text[match.end() : match.end() + 1].strip():
            raise BadQuery(f"{name}: needs a word or a phrase right behind it", match.end())
        self.position = match.end()
        return name

    def _operator(self) -> str | None:
        self._skip_space()
        match = _OPERATOR.match(self._text, self.position)
        return match[0] if match else None

    def _at_end(self) -> bool:
        """Whether nothing comes next, or a parenthesis that closes."""
        self._skip_space()
        return self._text[self.position : self.position + 1] in {"", ")"}

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self.position)
        assert match is not None
        self.position = match.end()


def _is_elsewhere(follows: str) -> bool:
    """Whether what follows the colon tells of an address, a path or a program's name."""
    return follows == "//" or follows[0] in ":\\"
