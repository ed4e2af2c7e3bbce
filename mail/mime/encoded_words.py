"""Encoded words (RFC 2047), also where senders write them against its rules.

`?` within a word, octets beyond ASCII in it, base64 and characters cut between two words.
"""

import binascii
import re

from mail.mime.charsets import codec_of, decode_text, guess_text
from mail.mime.transfer_encoding import lenient_base64

VALUE_MAX_CHARS = 64 * 1024  # of one field
_HEAD = r"=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?"
# A word ends at `?=` where something follows that is no part of it; else at the nearest `?=`.
_FOLLOWS = r"(?=[\s)\]}>,;:.\"']|\Z|=\?)"
_WITHIN = rf"(?:[^=]|(?!{_HEAD.replace('(', '(?:', 1)}[bBqQ]\?)=){{0,4096}}?"
_PATTERN = (
    rf"{_HEAD}(?:[bB]\?([^?]*)\?=|[qQ]\?(?:([^?]*)\?={_FOLLOWS}|({_WITHIN})\?={_FOLLOWS}"
    rf"|({_WITHIN})\?=))"
)
_WORD = re.compile(_PATTERN)
_WORD_OCTETS = re.compile(_PATTERN.encode())
_FOREIGN = re.compile(rb"[\x80-\xff]")


def field_text(value: bytes, beside: str = "") -> str:
    """The text of a field's value, encoded words as they stand. `beside`: the mail's charset.

    At most VALUE_MAX_CHARS.
    """
    cut = value[:VALUE_MAX_CHARS]
    if cut.isascii() and b"\x1b" not in cut:
        return cut.decode("ascii")
    if b"=?" in cut and not cut.isascii():
        cut = _WORD_OCTETS.sub(_with_ascii, cut)
    return guess_text(cut, beside)


def _with_ascii(word: re.Match[bytes]) -> bytes:
    """A Q word whose octets beyond ASCII are written as `=XX`; they mean what its charset says."""
    if word[2] is not None:
        return word[0]
    return _FOREIGN.sub(lambda octet: b"=%02X" % octet[0][0], word[0])


def decoded(value: bytes, beside: str = "") -> str:
    """A field's value with its encoded words decoded, of any length and not yet clean."""
    return decode_words(field_text(value, beside))


def decode_words(text: str) -> str:
    """The text with its encoded words decoded. White space between two of them is none (§6.2)."""
    if "=?" not in text:
        return text
    pieces: list[str] = []
    run: _EncodedRun | None = None
    at = 0
    for word in _WORD.finditer(text):
        between = text[at : word.start()]
        at = word.end()
        joins = run is not None and not between.strip()
        if run and not (joins and run.is_of(word[1])):
            pieces.append(run.text())
            run = None
        if not joins:
            pieces.append(between)
        run = run or _EncodedRun(word[1])
        run.add(word)
    return "".join([*pieces, run.text() if run else "", text[at:]])


class _EncodedRun:
    """Words of one charset in a row. §5 forbids to cut a character in two; many senders do.

    Some cut the base64 of a text wherever a line is full: pieces without padding that are no whole
    groups of four letters are joined before they are decoded.
    """

    def __init__(self, charset: str) -> None:
        self._charset = charset
        self._octets: list[bytes] = []
        self._letters: list[str] = []  # pieces of base64 that wait for their neighbours
        self._waiting_chars = 0

    def is_of(self, charset: str) -> bool:
        return charset.lower() == self._charset.lower() or (
            codec_of(charset) is not None and codec_of(charset) == codec_of(self._charset)
        )

    def add(self, word: re.Match[str]) -> None:
        if word[2] is None:
            self._decode_waiting()
            text = next(body for body in word.groups()[2:] if body is not None)
            octets = text.replace(" ", "_").encode("utf-8", "surrogatepass")
            self._octets.append(binascii.a2b_qp(octets, header=True))
            return
        letters = "".join(word[2].split())
        self._letters.append(letters)
        self._waiting_chars += len(letters)
        if letters.endswith("=") or self._waiting_chars % 4 == 0:
            self._decode_waiting()

    def text(self) -> str:
        self._decode_waiting()
        return decode_text(b"".join(self._octets), self._charset)

    def _decode_waiting(self) -> None:
        pieces = [letters.encode("utf-8", "surrogatepass") for letters in self._letters]
        is_cut = self._waiting_chars % 4 == 0 or any(len(piece) % 4 == 1 for piece in pieces[:-1])
        self._letters, self._waiting_chars = [], 0
        joined = [lenient_base64(b"".join(pieces))]
        if len(pieces) > 1 and not is_cut and not self._is_sound(joined):
            alone = [lenient_base64(piece) for piece in pieces]
            joined = alone if self._is_sound(alone) else joined
        self._octets += joined

    def _is_sound(self, octets: list[bytes]) -> bool:
        return "\ufffd" not in decode_text(b"".join(octets), self._charset)
