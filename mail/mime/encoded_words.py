"""Decoder of encoded words in header fields (RFC 2047).

Accepts any octets and never raises. Also decodes words that violate the RFC: with `?` or octets
above 127 inside, and with base64 or characters cut between two words.
Limits: VALUE_MAX_CHARS of one field. Linear time.
"""

import binascii
import re

from mail.mime.charsets import codec_of, decode_text, guess_text
from mail.mime.transfer_encoding import lenient_base64

VALUE_MAX_CHARS = 64 * 1024  # of one field
_HEAD = r"=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?"
# A word ends at a `?=` that a separator follows; without such an end, at the nearest `?=`.
_AFTER_WORD = r"(?=[\s)\]}>,;:.\"']|\Z|=\?)"
_WITHIN = rf"(?:[^=]|(?!{_HEAD.replace('(', '(?:', 1)}[bBqQ]\?)=){{0,4096}}?"
_PATTERN = (
    rf"{_HEAD}(?:[bB]\?([^?]*)\?=|[qQ]\?(?:([^?]*)\?={_AFTER_WORD}|({_WITHIN})\?={_AFTER_WORD}"
    rf"|({_WITHIN})\?=))"
)
_WORD = re.compile(_PATTERN)
_WORD_OCTETS = re.compile(_PATTERN.encode())
_FOREIGN = re.compile(rb"[\x80-\xff]")


def field_text(value: bytes, fallback_charset: str = "") -> str:
    """Return the first VALUE_MAX_CHARS of a field value as text, encoded words not decoded.

    Octets without a declared charset are decoded by `fallback_charset`, the charset of the mail.
    """
    cut = value[:VALUE_MAX_CHARS]
    if cut.isascii() and b"\x1b" not in cut:
        return cut.decode("ascii")
    if b"=?" in cut and not cut.isascii():
        cut = _WORD_OCTETS.sub(_with_ascii, cut)
    return guess_text(cut, fallback_charset)


def _with_ascii(word: re.Match[bytes]) -> bytes:
    """Escape the octets above 127 of a Q word as `=XX`, so that the charset of the word applies."""
    if word[2] is not None:
        return word[0]
    return _FOREIGN.sub(lambda octet: b"=%02X" % octet[0][0], word[0])


def decode_field(value: bytes, fallback_charset: str = "") -> str:
    """Return a field value with its encoded words decoded; neither cut nor cleaned."""
    return decode_words(field_text(value, fallback_charset))


def decode_words(text: str) -> str:
    """Return `text` with its encoded words decoded, without white space between them (§6.2)."""
    if "=?" not in text:
        return text
    pieces: list[str] = []
    run: _EncodedRun | None = None
    position = 0
    for word in _WORD.finditer(text):
        between = text[position : word.start()]
        position = word.end()
        joins = run is not None and not between.strip()
        if run and not (joins and run.has_charset(word[1])):
            pieces.append(run.text())
            run = None
        if not joins:
            pieces.append(between)
        run = run or _EncodedRun(word[1])
        run.add(word)
    return "".join([*pieces, run.text() if run else "", text[position:]])


class _EncodedRun:
    """Consecutive encoded words of one charset, decoded together.

    Many senders cut a character between two words, which §5 forbids. Some cut base64 at the end of
    a line: pieces without padding that are not whole groups of four are joined before decoding.
    """

    def __init__(self, charset: str) -> None:
        self._charset = charset
        self._octets: list[bytes] = []
        self._pending: list[str] = []  # pieces of base64 that may continue in the next word
        self._pending_chars = 0

    def has_charset(self, charset: str) -> bool:
        return charset.lower() == self._charset.lower() or (
            codec_of(charset) is not None and codec_of(charset) == codec_of(self._charset)
        )

    def add(self, word: re.Match[str]) -> None:
        if word[2] is None:
            self._decode_pending()
            text = next(body for body in word.groups()[2:] if body is not None)
            octets = text.replace(" ", "_").encode("utf-8", "surrogatepass")
            self._octets.append(binascii.a2b_qp(octets, header=True))
            return
        base64 = "".join(word[2].split())
        self._pending.append(base64)
        self._pending_chars += len(base64)
        if base64.endswith("=") or self._pending_chars % 4 == 0:
            self._decode_pending()

    def text(self) -> str:
        self._decode_pending()
        return decode_text(b"".join(self._octets), self._charset)

    def _decode_pending(self) -> None:
        """Decode the pending pieces as one text, or one by one if only that is free of errors."""
        pieces = [base64.encode("utf-8", "surrogatepass") for base64 in self._pending]
        is_cut = self._pending_chars % 4 == 0 or any(len(piece) % 4 == 1 for piece in pieces[:-1])
        self._pending, self._pending_chars = [], 0
        joined = [lenient_base64(b"".join(pieces))]
        if len(pieces) > 1 and not is_cut and not self._decodes_cleanly(joined):
            separate = [lenient_base64(piece) for piece in pieces]
            joined = separate if self._decodes_cleanly(separate) else joined
        self._octets += joined

    def _decodes_cleanly(self, octets: list[bytes]) -> bool:
        return "\ufffd" not in decode_text(b"".join(octets), self._charset)
