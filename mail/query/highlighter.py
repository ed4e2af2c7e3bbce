"""Where a mail's text answers a search, marked for showing.

As in RFC 8621 §5: text that is safe to show as HTML, `&`, `<` and `>` escaped, every match between
<mark> and </mark>; None where nothing matches. Words are compared as mail/query/tokenizer.py makes
them, so "creme" marks "Crème". Words that are excluded, or asked for in another field, mark
nothing.
"""

import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import islice

import msgspec

from mail.query.tokenizer import TOKEN_MAX_CHARS, fold, is_unspaced, pieces, tokens, tokens_of
from mail.query.tree import And, Node, Or, WordsNode, phrase

PREVIEW_MAX_CHARS = 200  # before escaping
BEFORE_CHARS = 50  # of the preview, before the first match
LOOKED_AT_CHARS = 32 * 1024  # of one text
LOOKED_AT_IN_ALL_CHARS = 256 * 1024  # of one page's texts
_CHUNK = re.compile(r"\S+")
_CHUNK_MAX_CHARS = 256  # a longer run without white space is looked at in parts
_BLOCK_CHARS = 1024
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"[a-z0-9]+")
# A character and what may combine with it: marks, and the vowels and finals of Hangul in parts.
_CLUSTER = re.compile(
    "[^\u0300-\u036f\u3099\u309a\uff9e\uff9f\u1160-\u11ff]?"
    "[\u0300-\u036f\u3099\u309a\uff9e\uff9f\u1160-\u11ff]*",
)

Span = tuple[int, int]  # where it begins and ends, in characters
Tokens = tuple[str, ...]
TokenSpan = tuple[
    str, int, int, int
]  # a token, where it begins and ends, where its first character does


class HighlightedText(msgspec.Struct, frozen=True):
    """A hit's subject and a part of its text, marked; None where nothing matches."""

    subject: str | None = None
    preview: str | None = None


NO_HIGHLIGHTS = HighlightedText()


class Highlighter:
    """Marks the texts of one page of hits, and looks at so many characters of them in all."""

    def __init__(self, node: Node) -> None:
        words = list(_positive(node))
        self._subject = _phrases(words, "subject")
        self._body = _phrases(words, "body")
        self._left_chars = LOOKED_AT_IN_ALL_CHARS

    def highlight(self, subject: str, body: str) -> HighlightedText:
        """What is found in these texts."""
        body = body[: min(LOOKED_AT_CHARS, self._left_chars)]
        start = _first_chance(body, self._body)
        self._left_chars -= len(body) - start
        return HighlightedText(
            subject=_marked_whole(subject, self._subject),
            preview=_marked_part(body, start, self._body),
        )


def _positive(node: Node) -> Iterator[WordsNode]:
    match node:
        case WordsNode():
            yield node
        case And(of) | Or(of):
            for part in of:
                yield from _positive(part)


class _Phrases(msgspec.Struct, frozen=True):
    """What to look for: by first token, and single beginnings of words."""

    by_first: dict[str, list[tuple[Tokens, bool]]]
    beginnings: tuple[str, ...]


def _phrases(words: Iterable[WordsNode], field: str) -> _Phrases:
    by_first: dict[str, list[tuple[Tokens, bool]]] = {}
    beginnings = []
    for one in words:
        if one.field not in {None, field}:
            continue
        wanted, prefix = phrase(one)
        if prefix and len(wanted) == 1:
            beginnings.append(wanted[0])
        else:
            by_first.setdefault(wanted[0], []).append((wanted, prefix))
    return _Phrases(by_first, tuple(beginnings))


def _marked_whole(text: str, phrases: _Phrases) -> str | None:
    spans = list(_matches(text, 0, phrases))
    return _with_marks(text, spans, 0, len(text)) if spans else None


def _first_chance(text: str, phrases: _Phrases) -> int:
    """Before here nothing matches: told by whole blocks, which is quicker than word by word."""
    start = 0
    while start < len(text):
        end = text.find(" ", start + _BLOCK_CHARS)
        end = end if end >= 0 else len(text)
        if _may_match(tokens(text[start:end]), phrases):
            return start
        start = end
    return start


def _may_match(found: list[str], phrases: _Phrases) -> bool:
    if phrases.beginnings and any(one.startswith(phrases.beginnings) for one in found):
        return True
    if phrases.by_first.keys().isdisjoint(found):
        return False
    return any(
        _goes_on(wanted, following)
        for first, following in zip(found, [*found[1:], ""], strict=True)
        for wanted, _ in phrases.by_first.get(first, ())
    )


def _goes_on(wanted: Tokens, following: str) -> bool:
    """Whether the second token may be the phrase's; "" stands for one of the next block."""
    return len(wanted) == 1 or not following or following.startswith(wanted[1])


def _marked_part(text: str, start: int, phrases: _Phrases) -> str | None:
    """About the first match, which is not before `start`."""
    first = next(_matches(text, start, phrases), None)
    if first is None:
        return None
    begin = _word_start(text, max(0, first[0] - BEFORE_CHARS), first[0])
    end = max(begin + PREVIEW_MAX_CHARS, first[1])
    shown = text[: _word_end(text, end)]
    spans = [span for span in _matches(shown, first[0], phrases) if span[1] <= end]
    return _with_marks(text, spans, begin, end).strip()


def _word_end(text: str, end: int) -> int:
    """Where the word ends that `end` may stand within."""
    space = _SPACES.search(text, end, end + _CHUNK_MAX_CHARS)
    return space.start() if space else end + _CHUNK_MAX_CHARS


def _word_start(text: str, begin: int, latest: int) -> int:
    """Behind the next white space, so that the part does not begin within a word."""
    if begin == 0:
        return 0
    space = _SPACES.search(text, begin, latest)
    return space.end() if space else begin


def _with_marks(text: str, spans: list[Span], begin: int, end: int) -> str:
    found, at = [], begin
    for start, stop in spans:
        if start < at or stop > end:
            continue
        found += [_shown(text[at:start]), "<mark>", _shown(text[start:stop]), "</mark>"]
        at = stop
    return "".join([*found, _shown(text[at:end])])


def _shown(text: str) -> str:
    return escape(_SPACES.sub(" ", text), quote=False)


def _matches(text: str, start: int, phrases: _Phrases) -> Iterator[Span]:
    """Where phrases are found from `start` on, in order of their beginnings."""
    if not phrases.by_first and not phrases.beginnings:
        return
    longest = max((len(one[0]) for ones in phrases.by_first.values() for one in ones), default=1)
    ahead: list[TokenSpan] = []
    source = _tokens(text, text.rfind(" ", 0, start) + 1)
    while True:
        ahead += islice(source, longest - len(ahead))
        if not ahead:
            return
        end = _end_here(ahead, phrases)
        if end:
            yield ahead[0][1], end
        del ahead[0]


def _end_here(ahead: list[TokenSpan], phrases: _Phrases) -> int:
    """Where the longest phrase ends that begins here; 0: none does."""
    token = ahead[0][0]
    begun = phrases.beginnings and token.startswith(phrases.beginnings)
    end = _end_of_beginning(ahead[0]) if begun else 0
    for wanted, prefix in phrases.by_first.get(token, ()):
        *before, last = ahead[: len(wanted)]
        if len(before) + 1 < len(wanted) or tuple(one[0] for one in before) != wanted[:-1]:
            continue
        if last[0] == wanted[-1]:
            end = max(end, last[2])
        elif prefix and last[0].startswith(wanted[-1]):
            end = max(end, _end_of_beginning(last))
    return end


def _end_of_beginning(place: TokenSpan) -> int:
    """A word is marked whole; of a script without spaces, the character that was asked for."""
    return place[3] if is_unspaced(place[0]) else place[2]


def _tokens(text: str, start: int) -> Iterator[TokenSpan]:
    """Each token from `start` on, and where the characters stand of which it was made."""
    for chunk in _CHUNK.finditer(text, start):
        for at in range(chunk.start(), chunk.end(), _CHUNK_MAX_CHARS):
            yield from _tokens_of_part(text[at : min(at + _CHUNK_MAX_CHARS, chunk.end())], at)


def _tokens_of_part(part: str, offset: int) -> Iterator[TokenSpan]:
    if part.isascii():
        for word in _WORD.finditer(part.lower()):
            start = offset + word.start()
            yield word[0][:TOKEN_MAX_CHARS], start, offset + word.end(), start + 1
        return
    folded, origin = _folded(part)
    at = 0
    for piece in pieces(part):
        at = max(folded.find(piece, at), at)
        for number, token in enumerate(tokens_of(piece)):
            first = min(at + number, len(origin) - 1)
            last = min(first + len(token), len(origin)) - 1
            begin, end = origin[first][0], origin[last][1]
            yield token, offset + begin, offset + end, offset + origin[first][1]
        at += len(piece)


def _folded(part: str) -> tuple[str, list[Span]]:
    """The folded text, and for each of its characters where in `part` it comes from."""
    folded = fold(part)
    if len(folded) == len(part):
        return folded, [(at, at + 1) for at in range(len(part))]
    clusters = [(fold(found[0]), found.span()) for found in _CLUSTER.finditer(part)]
    origin = [span for text, span in clusters for _ in text]
    return "".join(text for text, _ in clusters), origin or [(0, len(part))]
