"""HTML of a plain text mail: links, quotation levels, a grey signature, a folded last quotation.

Accepts any text and never raises. Linear time.
"""

import html as entities
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mail.html.quote_folding import CLOSE_FOLD, OPEN_FOLD

LEVELS_MAX = 5  # of quotation; deeper levels look the same
LINK_MAX_CHARS = 2_000
BLOCKS_MAX = 5_000  # changes of the level; the lines after them are one block
LINKS_MAX = 5_000  # a text with more has no links
_MARKS = re.compile(r"(?:> ?)+")
_MARKS_MAX_CHARS = 200  # read of one line
_LINK = re.compile(rf"https?://[^\s<>\"']{{1,{LINK_MAX_CHARS}}}", re.IGNORECASE)
_AFTER_LINK = ".,;:!?*_"
_SIGNATURE = re.compile(r"-- ?")  # RFC 3676 §4.3; some programs remove the space
_ORIGINAL = re.compile(r"-{2,}\s?(?:Original Message|원본 메일|원본 메시지)\s?-{2,}", re.IGNORECASE)
_HEADING_MAX_CHARS = 100


@dataclass(slots=True)
class _Block:
    """Consecutive lines of one quotation level; 0 is the author's own text."""

    level: int
    rows: list[str] = field(default_factory=list)

    @property
    def is_blank(self) -> bool:
        return not any(row.strip() for row in self.rows)


def text_view(text: str) -> str:
    """Return `text` as HTML for the view document."""
    blocks = list(_blocks(text))
    fold_at = _fold_index(blocks)
    has_links = text.count("://") <= LINKS_MAX
    parts = [_html(block, has_links=has_links) for block in blocks]
    if fold_at is not None:
        parts[fold_at:] = [OPEN_FOLD, *parts[fold_at:], CLOSE_FOLD]
    return f'<div class="mail-text">{"".join(parts)}</div>'


def has_quotation(text: str) -> bool:
    """Whether the text quotes a mail."""
    return any(block.level for block in _blocks(text))


def _blocks(text: str) -> Iterator[_Block]:
    """Split the text by level. Lines below the heading of a whole quoted mail have level 1."""
    current = _Block(0)
    original = count = 0
    for row in text.split("\n"):
        original = original or int(bool(_ORIGINAL.fullmatch(row[:_HEADING_MAX_CHARS].strip())))
        level, rest = _level_of(row) if count < BLOCKS_MAX else (0, row)
        level = max(level, original)
        if level != current.level:
            if current.rows:
                count += 1
                yield current
            current = _Block(level)
        current.rows.append(rest)
    yield current


def _level_of(row: str) -> tuple[int, str]:
    """Return the quotation level of a line, and the line without its marks (RFC 3676 §4.5)."""
    marks = _MARKS.match(row[:_MARKS_MAX_CHARS])
    if marks is None:
        return 0, row
    return min(marks[0].count(">"), LEVELS_MAX), row[marks.end() :]


def _fold_index(blocks: list[_Block]) -> int | None:
    """Return the index of the first block of the quotation that ends the mail."""
    index = len(blocks)
    while index and (blocks[index - 1].level or blocks[index - 1].is_blank):
        index -= 1
    has_text_before = index > 0
    while index < len(blocks) and not blocks[index].level:
        index += 1  # the fold begins with the quotation
    return index if has_text_before and index < len(blocks) else None


def _html(block: _Block, *, has_links: bool) -> str:
    text_of = _linked if has_links else _escaped
    if block.level:
        return f'<div class="mail-level{block.level}">{text_of(block.rows)}</div>'
    start = next((at for at, row in enumerate(block.rows) if _SIGNATURE.fullmatch(row)), None)
    if start is None:
        return f"<div>{text_of(block.rows)}</div>"
    own, signature = text_of(block.rows[:start]), text_of(block.rows[start:])
    return f'<div>{own}</div><div class="mail-signature">{signature}</div>'


def _escaped(rows: list[str]) -> str:
    return entities.escape("\n".join(rows))


def _linked(rows: list[str]) -> str:
    pieces: list[str] = []
    text, position = "\n".join(rows), 0
    for link in _LINK.finditer(text):
        url = _url_of(link[0])
        pieces += (entities.escape(text[position : link.start()]), _link(url))
        position = link.start() + len(url)
    return "".join([*pieces, entities.escape(text[position:])])


def _url_of(found: str) -> str:
    """Return the URL without the punctuation of the sentence that has it."""
    url = found.rstrip(_AFTER_LINK)
    return url if "(" in url else url.rstrip(_AFTER_LINK + ")]")


def _link(url: str) -> str:
    escaped = entities.escape(url)
    return f'<a href="{escaped}" target="_blank" rel="noopener noreferrer nofollow">{escaped}</a>'
