"""Content-Transfer-Encoding (RFC 2045 §6), decoded leniently: what can be had, never a failure."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

BASE64_BLOCKS_MAX = 100_000  # padded ones, one behind the other
_LOOKED_AT_BYTES = 64 * 1024
_PLAIN_SHARE = 0.05
_WORD_MAX_BYTES = 40
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FOREIGN = bytes(set(range(256)) - set(_LETTERS))
_SPACES = b" \t\r\n\v\f"
_PADDING = re.compile(rb"={1,3}+[=\s]*+")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_UUENCODINGS = frozenset({"x-uuencode", "uuencode", "x-uue", "uue"})
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,255})\r?$", re.MULTILINE)


def decode_transfer(body: bytes, encoding: str, *, is_text: bool = False) -> bytes:
    """The octets of `body`. An unknown encoding is taken as it stands.

    So is what claims to be base64 and is none; for a text that may be a single word.
    """
    if encoding == "base64":
        return body if _is_plain(body, is_text=is_text) else lenient_base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding in _UUENCODINGS:
        return next((file.octets for file in uuencoded(body, must_end=False)), body)
    return body


@dataclass(slots=True)
class Decoded:
    """The octets of a body that stands in `_octets`; decoded when asked for, and kept."""

    _octets: bytes
    _start: int
    _stop: int
    _encoding: str
    _is_text: bool
    _decoded: bytes | None = None

    def __call__(self) -> bytes:
        if self._decoded is None:
            body = self._octets[self._start : self._stop]
            self._decoded = decode_transfer(body, self._encoding, is_text=self._is_text)
        return self._decoded


def lenient_base64(data: bytes) -> bytes:
    """What can be had of broken base64: foreign octets skipped, a cut end dropped.

    Padding ends a block. What follows is another block if it is base64 and nothing else; else it
    has no meaning and ends the data.
    """
    blocks = _blocks(data)
    decoded = bytearray(_block(next(blocks)))
    for number, block in enumerate(blocks):
        if number == BASE64_BLOCKS_MAX or not _is_pure(block):
            break
        decoded += _block(block)
    return bytes(decoded)


def _blocks(data: bytes) -> Iterator[bytes]:
    at = 0
    for padding in _PADDING.finditer(data):
        yield data[at : padding.start()]
        at = padding.end()
    if at == 0 or at < len(data):
        yield data[at:]


def _block(data: bytes) -> bytes:
    letters = data.translate(None, _FOREIGN)
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _is_pure(block: bytes) -> bool:
    """Whether each line is one word of base64, and the letters can be decoded to their end."""
    letters = block.translate(None, _FOREIGN)
    if len(letters) % 4 == 1 or len(block.translate(None, _SPACES)) != len(letters):
        return False
    return all(len(line.split()) < 2 for line in block.splitlines())


def _is_plain(body: bytes, *, is_text: bool) -> bool:
    """Whether most lines have blanks within or octets that base64 has not."""
    sample = body[:_LOOKED_AT_BYTES].strip()
    lines = [line.strip() for line in sample.splitlines()]
    odd = [len(line.translate(None, _LETTERS + b"=")) for line in lines if line]
    if sum(map(bool, odd)) * 2 > len(odd) and sum(odd) > _PLAIN_SHARE * len(sample):
        return True
    letters = len(sample.translate(None, _FOREIGN))
    if not is_text or letters % 4 == 0 or b"=" in sample or len(sample) > _WORD_MAX_BYTES:
        return False
    return letters % 4 == 1 or _CONTROLS.search(_block(sample)) is not None


@dataclass(slots=True, frozen=True)
class Uuencoded:
    """A file that stands in a text from `start` to `end`, where the line behind it begins."""

    name: bytes
    octets: bytes
    start: int
    end: int


def uuencoded(text: bytes, *, must_end: bool = True) -> Iterator[Uuencoded]:
    """The uuencoded files (POSIX uuencode) in `text`. Linear: a line of data begins no file."""
    at = 0
    while begin := _UU_BEGIN.search(text, at):
        octets, at = _uu_octets(text, begin.end())
        line_end = text.find(b"\n", at) + 1 or len(text)
        ended = text[at:line_end].strip() == b"end"
        if ended or not must_end:
            yield Uuencoded(begin[1].strip(), octets, begin.start(), line_end if ended else at)
        at = max(at, begin.end())


def _uu_octets(text: bytes, at: int) -> tuple[bytes, int]:
    """Decoded lines, and where the first line that is none begins."""
    octets = bytearray()
    at = text.find(b"\n", at) + 1 or len(text)
    while at < len(text):
        line_end = text.find(b"\n", at) + 1 or len(text)
        line = text[at:line_end].rstrip(b"\r\n")
        if line and line != b"end":
            # Some write a checksum behind the data.
            data = line[: 1 + ((line[0] - 32 & 63) + 2) // 3 * 4]
            try:
                octets += binascii.a2b_uu(data)
            except binascii.Error:
                break
        elif line:
            break
        at = line_end
    return bytes(octets), at
