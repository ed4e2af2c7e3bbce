"""Tokenizer of search: the words of a text, folded, for documents and queries alike.

Every index stores these tokens unchanged. All indexes therefore find the same messages, and differ
in speed only. Users may rely on these rules:

- Case, width and accents do not matter: "ＲÉSUMÉ" is "resume", "Łódź" is "lodz", "ß" is "ss".
  Marks that distinguish characters are kept: Japanese が is not か, Indic and Thai vowels count.
- Arabic script: vowel points, hamza and the stretch U+0640 do not matter. Final and Persian forms
  of yeh and kaf equal the Arabic forms. Digits of any script are ASCII digits: "٢٠٢٤" is "2024".
- A word is a run of letters and digits; everything else is a separator. The words of an address
  are its parts, and the whole address is a phrase of these words (mail/query/tree.py).
- Scripts without spaces (Han, kana, Hangul, bopomofo, Thai, Lao, Khmer, Myanmar) become overlapping
  pairs and the last character: 한국어 is 한국 국어 어. Every character begins a token, so any part
  of a word can be found: a part of two or more characters as a phrase of its pairs, and a single
  character as the prefix of a token.
- A change of script ends a word: "서울2024년" is 서울 울, 2024, 년.
- Emoji, symbols and punctuation are not words.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import add

TEXT_MAX_CHARS = 256 * 1024  # of one text; the rest of a longer text is not searchable
TOKEN_MAX_CHARS = 64  # a longer word is cut to this
FOLD_MAX_CHARS = 2048  # longer texts are folded in parts


def _range(*spans: str) -> Iterator[str]:
    for span in spans:  # the first and the last character
        yield from map(chr, range(ord(span[0]), ord(span[1]) + 1))


# Characters that folding removes or replaces, in decomposed text.
_FOLDED = {
    # Diacritics of European scripts; the optional vowel points of Hebrew and Arabic.
    **dict.fromkeys(_range("\u0300\u036f", "\u0483\u0487", "\u1ab0\u1aff", "\u1dc0\u1dff"), ""),
    **dict.fromkeys(_range("\u20d0\u20ff", "\ufe20\ufe2f"), ""),
    **dict.fromkeys(_range("\u0591\u05bd", "\u05c1\u05c2", "\u05c4\u05c5"), ""),
    **dict.fromkeys(_range("\u0610\u061a", "\u064b\u065f", "\u06d6\u06dc"), ""),
    **dict.fromkeys("\u05bf\u05c7\u0670", ""),
    # Invisible inside words: soft hyphen, zero-width characters, direction marks, selectors.
    **dict.fromkeys(_range("\u200b\u200f", "\u202a\u202e", "\u2060\u2064", "\ufe00\ufe0f"), ""),
    **dict.fromkeys("\u00ad\u061c\ufeff", ""),
    "\u0640": "",  # kashida: stretches a word, without meaning
    "\u0649": "\u064a",  # alef maksura and Persian yeh
    "\u06cc": "\u064a",
    "\u06a9": "\u0643",  # Persian kaf
    "_": " ",
    # Unicode does not decompose these. Users also type them without the stroke or ligature.
    **dict(zip("øłđħŧı", "oldhti", strict=True)),
    "æ": "ae",
    "œ": "oe",
}
_FOLDABLE = frozenset(_FOLDED)
_UNSPACED = (
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af"  # Han
    "\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb"  # Hangul
    "\u3105-\u312f\u31a0-\u31bf"  # bopomofo
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0ecf\u1000-\u103f\u1780-\u17d3"  # Thai, Lao, Myanmar, Khmer
)
# `\w` lacks the dependent vowels of Indic scripts, which are marks by category.
_SPACED = r"\w\u0900-\u0963\u0966-\u0dff\u0f00\u0f18-\u0fbc"
# Up to FOLD_MAX_CHARS, ending after white space if there is any.
_PART = re.compile(rf".{{1,{FOLD_MAX_CHARS - 1}}}\s|.{{1,{FOLD_MAX_CHARS}}}", re.DOTALL)
# ASCII: letters in lower case, digits unchanged, everything else a space.
_ASCII_FOLDED = bytes(
    ord(chr(code).lower()) if chr(code).isalnum() else 0x20 for code in range(0x80)
) + bytes(0x80)
_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")
_UNSPACED_ANY = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(f"[{_SPACED}{_UNSPACED}]+")
_PIECE = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")


def tokens(text: str) -> list[str]:
    """Return the tokens of the first TEXT_MAX_CHARS of `text`, in order.

    A token is 1 to TOKEN_MAX_CHARS characters long. It has no white space, no ASCII characters but
    letters and digits, no private-use characters and no lone surrogates.
    """
    words = pieces(text)
    if text.isascii() or all(map(str.isascii, words)):
        return words
    return [token for word in words for token in ((word,) if word.isascii() else tokens_of(word))]


def pieces(text: str) -> list[str]:
    """Return the folded words of `text` in order; a run of a script without spaces is one word."""
    text = text[:TEXT_MAX_CHARS]
    if text.isascii():
        return _shortened(text.encode().translate(_ASCII_FOLDED).decode().split())
    return folded_pieces(fold(text)[:TEXT_MAX_CHARS])  # one character can become 18


def folded_pieces(text: str) -> list[str]:
    """Return the words of a text that is folded already."""
    words = _WORD.findall(text)
    if _UNSPACED_ANY.search(text) is not None:
        words = list(chain.from_iterable(map(_PIECE.findall, words)))
    return _shortened(words)


def comparable(text: str) -> str:
    """Return the form in which texts are compared by substring, of the first TEXT_MAX_CHARS.

    It is folded as words are, so an underscore is a space; white space is one space each.
    """
    text = text[:TEXT_MAX_CHARS]
    folded = text.lower().replace("_", " ") if text.isascii() else fold(text)[:TEXT_MAX_CHARS]
    joined = " ".join(folded.split())
    if not joined:
        return " " if folded else ""
    return f"{' ' * folded[0].isspace()}{joined}{' ' * folded[-1].isspace()}"


def tokens_of(piece: str) -> Sequence[str]:
    """Return the tokens of one piece."""
    return (*pairs(piece), piece[-1]) if is_unspaced(piece) else (piece,)


def pairs(piece: str) -> Iterable[str]:
    """Return the overlapping pairs of a run; a single character has no pair."""
    return map(add, piece, piece[1:])


def is_unspaced(piece: str) -> bool:
    """Whether `piece` is a run of a script without spaces."""
    return not piece.isascii() and _UNSPACED_ANY.match(piece) is not None


def fold(text: str) -> str:
    """Remove case, width, accents and invisible characters. Hangul and kana stay composed.

    Long texts are folded in parts: normalisation takes quadratic time in a run of combining marks
    (UAX #15 §3.2), so that 256 KiB of marks would block the process for a minute.
    """
    if len(text) <= FOLD_MAX_CHARS:
        return _fold(text)
    return "".join(map(_fold, _PART.findall(text)))


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    text = unicodedata.normalize("NFKD", text)
    for character in _FOLDABLE.intersection(text):  # few characters: faster than translate
        text = text.replace(character, _FOLDED[character])
    text = _FOREIGN_DIGIT.sub(_ascii_digit, text)
    return unicodedata.normalize("NFC", text)


def _ascii_digit(match: re.Match[str]) -> str:
    return str(unicodedata.decimal(match[0]))


def _shortened(words: list[str]) -> list[str]:
    if max(map(len, words), default=0) <= TOKEN_MAX_CHARS:
        return words
    return [word if is_unspaced(word) else word[:TOKEN_MAX_CHARS] for word in words]
