"""Parser of the search language: query text to query tree (mail/query/tree.py).

    query        = 1*alternatives                ; all must match; "AND" is allowed between two
    alternatives = part *( "OR" part )           ; one must match; OR binds closer than the
    part         = [ "-" / "NOT" ] operand       ;   implicit AND: `a b OR c` is a (b OR c)
    operand      = [ field ":" ] ( word / phrase / "(" query ")" )
    word         = up to white space, quote or parenthesis; "*" at the end: a prefix
    phrase       = <"> any text without quotes <"> [ "*" ]  ; typographic quotes count as quotes

    from: to: cc: bcc: subject: body: filename:   words in that field, `from:(ann OR bob)` too
    with:                     words in any of from, to, cc and bcc
    contains:                 a text anywhere, inside words too; `subject:(contains:"a b")`
    header:list-id header:"list-id: some text"    a header field exists, or contains the text
    msgid:                    a Message-ID: that mail, its answers, and mails that refer to it
    keyword:                  a keyword (RFC 8621 §4.1.1)
    in: the id or name of a folder, or anywhere   is: unread read flagged   has: attachment
    before: after:            2026, 2026-11, 2026-11-24 (or 2026/11/24): the first moment of it in
                              the user's time zone; or a moment in the format of RFC 3339
    older_than: newer_than:   7d 2w 3m 1y before now, by the calendar
    sent_before: sent_after:  a day of the Date field, as written there
    larger: smaller:          5000 20K 5M 1.5G octets

A word or phrase matches a field that has its tokens (mail/query/tokenizer.py) as neighbours, in
this order: `alice@example.org` matches where these three words follow each other. A word or phrase
without a token (an emoji, a dash) is ignored.

OR, AND and NOT are operators in capitals only. `-` excludes only at the start of an operand:
`well-known` is a word. A parenthesis without a counterpart, as in a smiley, is a separator.
`name:` with an unknown name is an error, so that a misspelt field never finds the wrong mails. It
is not an error at the end of a word ("Re: budget") or in other notations (10:30,
https://a.example, mailto:a@b.example, std::vector).
"""

import re

from mail.errors import BadQuery
from mail.query.fields import CONTAINS, FIELDS, PARTICIPANT, TEXT_FIELDS, VALUE_FIELDS
from mail.query.terms import QueryTerm, TermLeaf, term_of
from mail.query.tokenizer import pieces
from mail.query.tree import (
    DEPTH_MAX,
    PARTICIPANTS,
    QUERY_MAX_CHARS,
    TERMS_MAX,
    And,
    Contains,
    Node,
    Not,
    Or,
    Query,
    QueryContext,
    WordsNode,
    simplified,
)

_URI_SCHEMES = frozenset({"mailto", "tel", "urn"})  # schemes without "//"
_QUOTES = '"“”„‟＂'
_FIELD = re.compile(r"([A-Za-z][A-Za-z_-]+)[:：]")  # two characters or more, so that C:\ is text
_IN = re.compile("in[:：]", re.IGNORECASE)
_PHRASE = re.compile(f"[{_QUOTES}]([^{_QUOTES}]*)[{_QUOTES}]")
_WORD = re.compile(rf"[^\s{_QUOTES}()]+")
_SPACE = re.compile(r"\s*")
_OPERATOR = re.compile(rf"(?:OR|AND|NOT)(?![^\s{_QUOTES}()])")
_MINUS = re.compile(r"-(?![\s)-]|\Z)")
_LETTER = "[0-9A-Za-z\x80-\U0010ffff]"  # an approximation, sufficient for `*`
_STAR_WITHIN = re.compile(rf"\*(?={_LETTER})|(?<={_LETTER})\*(?!\Z)")
_PREFIX = re.compile(rf"{_LETTER}\*\Z")


def may_name_folder(text: str) -> bool:
    """Whether parsing `text` may need the folders of its context."""
    return _IN.search(text) is not None


def parse(text: str, context: QueryContext) -> Query:
    """Parse `text`.

    Raises BadQuery: `text` is not a query. The error has a detail for the user and the position.
    """
    if len(text) > QUERY_MAX_CHARS:
        raise BadQuery(f"a search has at most {QUERY_MAX_CHARS} characters", QUERY_MAX_CHARS)
    parser = _Parser(_with_unpaired_removed(text), context)
    node = parser.query(None, 0)
    if node is None:
        raise BadQuery("there is no word to search for", 0)
    return Query(simplified(node), f"{context.zone} {text}", tuple(parser.terms))


def _with_unpaired_removed(text: str) -> str:
    """Replace each parenthesis without a counterpart, and each empty pair, by spaces."""
    characters, opened = list(text), list[int]()
    position = 0
    while position < len(text):
        if phrase := _PHRASE.match(text, position):
            position = phrase.end()
            continue
        if text[position] == "(":
            opened.append(position)
        elif text[position] == ")" and opened:
            start = opened.pop()
            if not "".join(characters[start + 1 : position]).strip():
                characters[start] = characters[position] = " "
        elif text[position] == ")":
            characters[position] = " "
        position += 1
    for start in opened:
        characters[start] = " "
    return "".join(characters)


class _Parser:
    """Recursive descent parser; `position` is the next character.

    A method returns None for text without a token, which is not part of the query.
    """

    def __init__(self, text: str, context: QueryContext) -> None:
        self.position = 0
        self._text = text
        self._context = context
        self._terms = 0
        self._leaves: list[TermLeaf] = []
        self.terms: list[QueryTerm] = []

    def query(self, field: str | None, depth: int) -> Node | None:
        """Parse up to the end or a closing parenthesis."""
        parts: list[Node] = []
        while not self._at_end():
            start, leaf = self.position, len(self._leaves)
            part = self._alternatives(field, depth)
            parts += [] if part is None else [part]
            if not depth:
                leaves = self._leaves[leaf:]
                self.terms.append(term_of(self._text, start, self.position, leaves))
            self._skip_and()
        return And(tuple(parts)) if parts else None

    def _alternatives(self, field: str | None, depth: int) -> Node | None:
        parts = [self._part(field, depth)]
        while self._operator() == "OR":
            start = self.position
            self.position += len("OR")
            if self._at_end():
                raise BadQuery("OR needs something to search for on its right", start)
            parts.append(self._part(field, depth))
        alternatives = tuple(part for part in parts if part is not None)
        return Or(alternatives) if alternatives else None

    def _skip_and(self) -> None:
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
                f"{operator} is an operator between two things to search for; put it in quotes to "
                "search for the word",
                self.position,
            )
        if operator == "NOT" or _MINUS.match(self._text, self.position):
            return self._negated(operator or "-", field, depth)
        return self._operand(field, depth)

    def _negated(self, operator: str, field: str | None, depth: int) -> Node | None:
        start = self._check_depth(depth)
        self.position += len(operator)
        if self._at_end():
            raise BadQuery(f"{operator} needs something to exclude", start)
        part = self._part(field, depth + 1)
        return None if part is None else Not(part)

    def _operand(self, field: str | None, depth: int) -> Node | None:
        start = self.position
        if self._is_field():
            inner = self._field()
            if inner == CONTAINS and field in TEXT_FIELDS:
                node = self._text_in(TEXT_FIELDS[field], start)
                self._leaves.append(TermLeaf(field, start, self.position))
                return node
            if field is not None:
                raise BadQuery(f"{field}: cannot have another field in its parentheses", start)
            field = inner
        if self._text[self.position] == "(":
            return self._group(field, depth)
        value_start = self.position
        node = self._term(field, start)
        self._leaves.append(TermLeaf(field or "", value_start, self.position))
        return node

    def _group(self, field: str | None, depth: int) -> Node | None:
        self._check_depth(depth)
        self.position += 1
        node = self.query(field, depth + 1)
        self.position += 1
        return node

    def _check_depth(self, depth: int) -> int:
        """Return the position. Raises BadQuery: the next operand is nested deeper than allowed."""
        if depth == DEPTH_MAX:
            raise BadQuery(
                f"at most {DEPTH_MAX} parentheses and exclusions within each other", self.position
            )
        return self.position

    def _term(self, field: str | None, start: int) -> Node | None:
        position = self.position
        if field in VALUE_FIELDS:
            node = VALUE_FIELDS[field].parse_value(self._value(field), self._context)
            if node is None:
                raise BadQuery(f"{field}: is followed by {VALUE_FIELDS[field].takes}", position)
        else:
            node = self._words(field)
            if node is None and field is not None:
                raise BadQuery(f"{field}: has nothing to search for", position)
        self._count(start)
        return node

    def _text_in(self, field: str, start: int) -> Node | None:
        """Parse the value of `contains:` in the parentheses of a text field."""
        node = self._term(CONTAINS, start)
        return Contains(node.text, field) if isinstance(node, Contains) else node

    def _value(self, field: str) -> str:
        if self._text[self.position] in _QUOTES:
            return self._phrase()[0]
        text = self._bare(field)
        is_open = text.endswith(":") and self._text[self.position : self.position + 1] in {*_QUOTES}
        return text + self._phrase()[0] if is_open else text  # header:list-id:"some text"

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
            prefix = _PREFIX.search(text) is not None
            if within := _STAR_WITHIN.search(text):
                raise BadQuery("a * is allowed only at the end of a word", start + within.start())
        words = tuple(pieces(text))
        if not words:
            return None
        if field == PARTICIPANT:
            self._terms += len(PARTICIPANTS) - 1
            return Or(tuple(WordsNode(words, each, prefix) for each in PARTICIPANTS))
        return WordsNode(words, TEXT_FIELDS.get(field or ""), prefix)

    def _bare(self, field: str | None) -> str:
        """Read up to white space, a quote or a parenthesis."""
        match = _WORD.match(self._text, self.position)
        if match is None:
            raise BadQuery(f"{field}: needs a word or a phrase right after it", self.position)
        self.position = match.end()
        return match[0]

    def _phrase(self) -> tuple[str, bool]:
        match = _PHRASE.match(self._text, self.position)
        if match is None:
            raise BadQuery("a quotation begins here and is never closed", self.position)
        prefix = self._text[match.end() : match.end() + 1] == "*"
        self.position = match.end() + prefix
        return match[1], prefix

    def _is_field(self) -> bool:
        """Whether the next text is `name:` and means a field."""
        match = _FIELD.match(self._text, self.position)
        if match is None or match[1].lower() in _URI_SCHEMES:
            return False
        if match[1].lower() in FIELDS:
            return True
        follows = self._text[match.end() : match.end() + 2]
        return bool(follows.strip()) and not follows[0].isspace() and not _is_not_a_field(follows)

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
            raise BadQuery(f"{name}: needs a word or a phrase right after it", match.end())
        self.position = match.end()
        return name

    def _operator(self) -> str | None:
        self._skip_space()
        match = _OPERATOR.match(self._text, self.position)
        return match[0] if match else None

    def _at_end(self) -> bool:
        """Whether the end or a closing parenthesis comes next."""
        self._skip_space()
        return self._text[self.position : self.position + 1] in {"", ")"}

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self.position)
        assert match is not None
        self.position = match.end()


def _is_not_a_field(follows: str) -> bool:
    """Whether the text after the colon shows a URL, a path or a qualified name."""
    return follows == "//" or follows[0] in ":\\"
