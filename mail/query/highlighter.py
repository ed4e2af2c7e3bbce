"""Search snippets (RFC 8621 §5): a subject and a preview with the matches of a query marked.

The text is safe to show as HTML: `&`, `<` and `>` are escaped, and each match is between <mark> and
</mark>. A text without a match gives None. Words are compared as tokens (mail/query/tokenizer.py),
so "creme" marks "Crème". Excluded words, and words for another field, mark nothing.
"""

import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import islice

import msgspec

from mail.query.narrowing import words_in
from mail.query.tokenizer import TOKEN_MAX_CHARS, fold, is_unspaced, pieces, tokens, tokens_of
from mail.query.tree import And, Contains, Node, Or, WordsNode, phrase

PREVIEW_MAX_CHARS = 200  # before escaping
BEFORE_CHARS = 50  # of the preview, before the first match
EXAMINED_CHARS = 32 * 1024  # of one text
EXAMINED_PER_PAGE_CHARS = 256 * 1024  # of all texts of one page
_CHUNK = re.compile(r"\S+")
_CHUNK_MAX_CHARS = 256  # a longer run without white space is divided
_BLOCK_CHARS = 1024
_SHOWN_CHARS = PREVIEW_MAX_CHARS + _CHUNK_MAX_CHARS  # of ASCII text, that are made tokens of
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"[a-z0-9]+")
# A character and what may combine with it: marks, and the vowels and finals of Hangul in parts.
_CLUSTER = re.compile(
    "[^\u0300-\u036f\u3099\u309a\uff9e\uff9f\u1160-\u11ff]?"
    "[\u0300-\u036f\u3099\u309a\uff9e\uff9f\u1160-\u11ff]*",
)

Span = tuple[int, int]  # start and end, in characters
Tokens = tuple[str, ...]
TokenSpan = tuple[str, int, int, int]  # token, start, end, end of its first character


class HighlightedText(msgspec.Struct, frozen=True):
    """The subject and a part of the text of a hit, with marks; None: the text has no match."""

    subject: str | None = None
    preview: str | None = None


NO_HIGHLIGHTS = HighlightedText()


class Highlighter:
    """Highlights the texts of one page of hits.

    Examines EXAMINED_CHARS of each text and EXAMINED_PER_PAGE_CHARS of all texts at most.
    """

    def __init__(self, node: Node) -> None:
        words = list(_included_words(node))
        self._subject = _phrases(words, "subject")
        self._body = _phrases(words, "body")
        self._left_chars = EXAMINED_PER_PAGE_CHARS

    def highlight(self, subject: str, body: str) -> HighlightedText:
        """Return `subject` and a preview of `body`, with the matches marked."""
        body = body[: min(EXAMINED_CHARS, self._left_chars)]
        start = _first_candidate(body, self._body)
        self._left_chars -= min(len(body) - start, _SHOWN_CHARS if body.isascii() else len(body))
        return HighlightedText(
            subject=_highlighted_subject(subject, self._subject),
            preview=_highlighted_preview(body, start, self._body),
        )


def _included_words(node: Node) -> Iterator[WordsNode]:
    match node:
        case WordsNode():
            yield node
        case Contains():
            words = words_in(node)
            if words is not None:
                yield words
        case And(of) | Or(of):
            for part in of:
                yield from _included_words(part)


class _Phrases(msgspec.Struct, frozen=True):
    """The token sequences to find, by their first token, and the single-word prefixes.

    A sequence comes with a flag: its last token is a prefix. `in_ascii`: the patterns of all, each
    with its first token, for ASCII text in lower case.
    """

    by_first: dict[str, list[tuple[Tokens, bool]]]
    prefixes: tuple[str, ...]
    in_ascii: tuple[tuple[str, re.Pattern[str]], ...]


def _phrases(words: Iterable[WordsNode], field: str) -> _Phrases:
    by_first: dict[str, list[tuple[Tokens, bool]]] = {}
    prefixes = []
    in_ascii = []
    for node in words:
        if node.field not in {None, field}:
            continue
        sequence, prefix = phrase(node)
        in_ascii.append((sequence[0], _ascii_pattern(sequence, is_prefix=prefix)))
        if prefix and len(sequence) == 1:
            prefixes.append(sequence[0])
        else:
            by_first.setdefault(sequence[0], []).append((sequence, prefix))
    return _Phrases(by_first, tuple(prefixes), tuple(in_ascii))


def _ascii_pattern(sequence: Tokens, *, is_prefix: bool) -> re.Pattern[str]:
    words = [re.escape(token) + _word_end_of(token) for token in sequence]
    if is_prefix:
        words[-1] = re.escape(sequence[-1])
    return re.compile("(?<![a-z0-9])" + "[^a-z0-9]+".join(words))


def _word_end_of(token: str) -> str:
    """The pattern of what follows a token in its word: a longer word was cut."""
    return "(?![a-z0-9])" if len(token) < TOKEN_MAX_CHARS else "[a-z0-9]*"


def _highlighted_subject(text: str, phrases: _Phrases) -> str | None:
    if text.isascii() and _first_in_ascii(text, phrases) == len(text):
        return None
    spans = list(_matches(text, 0, phrases))
    return _with_marks(text, spans, 0, len(text)) if spans else None


def _first_candidate(text: str, phrases: _Phrases) -> int:
    """Return a position before which there is no match; without any, the length of the text.

    In ASCII text it is that of the first match.
    """
    if text.isascii():
        return _first_in_ascii(text, phrases)
    start = 0
    while start < len(text):
        end = text.find(" ", start + _BLOCK_CHARS)
        end = end if end >= 0 else len(text)
        at = _candidate_in_block(text[start:end], phrases)
        if at >= 0:
            return start + at
        start = end
    return start


def _first_in_ascii(text: str, phrases: _Phrases) -> int:
    """Searching is faster than making tokens of the text."""
    lowered = text.lower()
    starts = (
        match.start()
        for first, pattern in phrases.in_ascii
        if (at := lowered.find(first)) >= 0 and (match := pattern.search(lowered, at))
    )
    return min(starts, default=len(text))


def _candidate_in_block(block: str, phrases: _Phrases) -> int:
    """Return a position in `block` before which there is no match; -1: there is none in it.

    Folding is faster than making tokens, and that is faster than finding their positions.
    """
    folded = block.lower() if block.isascii() else fold(block)
    found = (folded.find(first) for first, _ in phrases.in_ascii)
    at = min((position for position in found if position >= 0), default=-1)
    if at < 0 or not _may_match(tokens(block), phrases):
        return -1
    return at if block.isascii() or fold(block[:at]) == folded[:at] else 0


def _may_match(block: list[str], phrases: _Phrases) -> bool:
    if phrases.prefixes and any(token.startswith(phrases.prefixes) for token in block):
        return True
    if phrases.by_first.keys().isdisjoint(block):
        return False
    return any(
        _may_continue(sequence, following)
        for first, following in zip(block, [*block[1:], ""], strict=True)
        for sequence, _ in phrases.by_first.get(first, ())
    )


def _may_continue(sequence: Tokens, following: str) -> bool:
    """Whether `following` may be the second token of `sequence`. "": a token of the next block."""
    return len(sequence) == 1 or not following or following.startswith(sequence[1])


def _highlighted_preview(text: str, start: int, phrases: _Phrases) -> str | None:
    """Return the text around the first match at or after `start`, else None."""
    first = next(_matches(text, start, phrases), None)
    if first is None:
        return None
    begin = _next_word_start(text, max(0, first[0] - BEFORE_CHARS), first[0])
    end = max(begin + PREVIEW_MAX_CHARS, first[1])
    shown = text[: _word_end(text, end)]
    spans = [span for span in _matches(shown, first[0], phrases) if span[1] <= end]
    return _with_marks(text, spans, begin, end).strip()


def _word_end(text: str, end: int) -> int:
    """Return the end of the word that contains the position `end`."""
    space = _SPACES.search(text, end, end + _CHUNK_MAX_CHARS)
    return space.start() if space else end + _CHUNK_MAX_CHARS


def _next_word_start(text: str, begin: int, latest: int) -> int:
    """Return the position after the next white space, so that the part begins with a whole word."""
    if begin == 0:
        return 0
    space = _SPACES.search(text, begin, latest)
    return space.end() if space else begin


def _with_marks(text: str, spans: list[Span], begin: int, end: int) -> str:
    pieces, position = [], begin
    for start, stop in spans:
        if start < position or stop > end:
            continue
        pieces += [_escaped(text[position:start]), "<mark>", _escaped(text[start:stop]), "</mark>"]
        position = stop
    return "".join([*pieces, _escaped(text[position:end])])


def _escaped(text: str) -> str:
    return escape(_SPACES.sub(" ", text), quote=False)


def _matches(text: str, start: int, phrases: _Phrases) -> Iterator[Span]:
    """Iterate over the matches at or after `start`, in order of their starts."""
    if not phrases.by_first and not phrases.prefixes:
        return
    sequences = (sequence for group in phrases.by_first.values() for sequence, _ in group)
    longest = max(map(len, sequences), default=1)
    ahead: list[TokenSpan] = []
    source = _tokens(text, text.rfind(" ", 0, start) + 1)
    while True:
        ahead += islice(source, longest - len(ahead))
        if not ahead:
            return
        end = _match_end(ahead, phrases)
        if end:
            yield ahead[0][1], end
        del ahead[0]


def _match_end(ahead: list[TokenSpan], phrases: _Phrases) -> int:
    """Return the end of the longest match that begins with the first token of `ahead`; 0: none."""
    token = ahead[0][0]
    has_prefix = phrases.prefixes and token.startswith(phrases.prefixes)
    end = _prefix_end(ahead[0]) if has_prefix else 0
    for sequence, prefix in phrases.by_first.get(token, ()):
        *before, last = ahead[: len(sequence)]
        if len(before) + 1 < len(sequence) or tuple(span[0] for span in before) != sequence[:-1]:
            continue
        if last[0] == sequence[-1]:
            end = max(end, last[2])
        elif prefix and last[0].startswith(sequence[-1]):
            end = max(end, _prefix_end(last))
    return end


def _prefix_end(span: TokenSpan) -> int:
    """Mark the whole word, or in a script without spaces the one character of the prefix."""
    return span[3] if is_unspaced(span[0]) else span[2]


def _tokens(text: str, start: int) -> Iterator[TokenSpan]:
    """Iterate over the tokens at or after `start`, with the positions of their characters."""
    for chunk in _CHUNK.finditer(text, start):
        for offset in range(chunk.start(), chunk.end(), _CHUNK_MAX_CHARS):
            end = min(offset + _CHUNK_MAX_CHARS, chunk.end())
            yield from _tokens_of_part(text[offset:end], offset)


def _tokens_of_part(part: str, offset: int) -> Iterator[TokenSpan]:
    if part.isascii():
        for word in _WORD.finditer(part.lower()):
            start = offset + word.start()
            yield word[0][:TOKEN_MAX_CHARS], start, offset + word.end(), start + 1
        return
    folded, origin = _folded(part)
    position = 0
    for piece in pieces(part):
        position = max(folded.find(piece, position), position)
        for number, token in enumerate(tokens_of(piece)):
            first = min(position + number, len(origin) - 1)
            last = min(first + len(token), len(origin)) - 1
            begin, end = origin[first][0], origin[last][1]
            yield token, offset + begin, offset + end, offset + origin[first][1]
        position += len(piece)


def _folded(part: str) -> tuple[str, list[Span]]:
    """Return the folded text, and for each of its characters the span of `part` it is from."""
    folded = fold(part)
    if len(folded) == len(part):
        return folded, [(index, index + 1) for index in range(len(part))]
    clusters = [(fold(match[0]), match.span()) for match in _CLUSTER.finditer(part)]
    origin = [span for text, span in clusters for _ in text]
    return "".join(text for text, _ in clusters), origin or [(0, len(part))]
