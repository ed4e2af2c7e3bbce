"""Lenient decoder of Content-Transfer-Encoding (RFC 2045 §6): base64, quoted-printable, uuencode.

Accepts any octets and never raises: malformed data is decoded as far as possible.
Limits: BASE64_BLOCKS_MAX. Linear time.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

BASE64_BLOCKS_MAX = 100_000  # consecutive padded blocks
_SAMPLE_BYTES = 64 * 1024
_PLAIN_SHARE = 0.05
_WORD_MAX_BYTES = 40
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_ALPHABET = bytes(set(range(256)) - set(_ALPHABET))
_SPACES = b" \t\r\n\v\f"
_PADDING = re.compile(rb"={1,3}+[=\s]*+")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_UUENCODINGS = frozenset({"x-uuencode", "uuencode", "x-uue", "uue"})
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,255})\r?$", re.MULTILINE)


def decode_transfer(body: bytes, encoding: str, *, is_text: bool = False) -> bytes:
    """Return the decoded octets of `body`.

    A body with an unknown encoding, or labelled base64 although it is not, is returned unchanged.
    With `is_text`, the test for base64 also covers a body of a single word.
    """
    if encoding == "base64":
        return body if _is_not_base64(body, is_text=is_text) else lenient_base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding in _UUENCODINGS:
        return next((file.octets for file in uuencoded(body, must_end=False)), body)
    return body


def is_encoded(encoding: str) -> bool:
    """Whether decode_transfer changes a body of this encoding."""
    return encoding in {"base64", "quoted-printable"} or encoding in _UUENCODINGS


@dataclass(slots=True)
class DecodedBody:
    """The decoded octets of a body within `_octets`; decoded at the first call, and cached."""

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
    """Decode base64, skipping octets outside the alphabet and dropping an incomplete end.

    Padding ends a block. Data after padding is another block if it is pure base64; otherwise it
    ends the data.
    """
    blocks = _split_blocks(data)
    decoded = bytearray(_decode_block(next(blocks)))
    for number, block in enumerate(blocks):
        if number == BASE64_BLOCKS_MAX or not _is_pure(block):
            break
        decoded += _decode_block(block)
    return bytes(decoded)


def _split_blocks(data: bytes) -> Iterator[bytes]:
    start = 0
    for padding in _PADDING.finditer(data):
        yield data[start : padding.start()]
        start = padding.end()
    if start == 0 or start < len(data):
        yield data[start:]


def _decode_block(data: bytes) -> bytes:
    digits = data.translate(None, _NOT_ALPHABET)
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def _is_pure(block: bytes) -> bool:
    """Whether each line is one word of the base64 alphabet, and the block decodes completely."""
    digits = block.translate(None, _NOT_ALPHABET)
    if len(digits) % 4 == 1 or len(block.translate(None, _SPACES)) != len(digits):
        return False
    return all(len(line.split()) < 2 for line in block.splitlines())


def _is_not_base64(body: bytes, *, is_text: bool) -> bool:
    """Whether most lines contain spaces or octets outside the alphabet.

    With `is_text`, also whether a single word decodes incompletely or to control characters.
    """
    sample = body[:_SAMPLE_BYTES].strip()
    lines = [line.strip() for line in sample.splitlines()]
    odd = [len(line.translate(None, _ALPHABET + b"=")) for line in lines if line]
    if sum(map(bool, odd)) * 2 > len(odd) and sum(odd) > _PLAIN_SHARE * len(sample):
        return True
    digits = len(sample.translate(None, _NOT_ALPHABET))
    if not is_text or digits % 4 == 0 or b"=" in sample or len(sample) > _WORD_MAX_BYTES:
        return False
    return digits % 4 == 1 or _CONTROLS.search(_decode_block(sample)) is not None


@dataclass(slots=True, frozen=True)
class Uuencoded:
    """A uuencoded file in a text, from `start` to `end`: the start of the line after the file."""

    name: bytes
    octets: bytes
    start: int
    end: int


def uuencoded(text: bytes, *, must_end: bool = True) -> Iterator[Uuencoded]:
    """Iterate over the uuencoded files (POSIX uuencode) in `text`.

    The search continues after the data of a file, so the time is linear.
    """
    position = 0
    while begin := _UU_BEGIN.search(text, position):
        octets, position = _decode_uu_lines(text, begin.end())
        line_end = text.find(b"\n", position) + 1 or len(text)
        ended = text[position:line_end].strip() == b"end"
        if ended or not must_end:
            end = line_end if ended else position
            yield Uuencoded(begin[1].strip(), octets, begin.start(), end)
        position = max(position, begin.end())


def _decode_uu_lines(text: bytes, start: int) -> tuple[bytes, int]:
    """Return the decoded lines after `start`, and the offset of the first other line."""
    octets = bytearray()
    position = text.find(b"\n", start) + 1 or len(text)
    while position < len(text):
        line_end = text.find(b"\n", position) + 1 or len(text)
        line = text[position:line_end].rstrip(b"\r\n")
        if line and line != b"end":
            # Some programs append a checksum to the data.
            data = line[: 1 + ((line[0] - 32 & 63) + 2) // 3 * 4]
            try:
                octets += binascii.a2b_uu(data)
            except binascii.Error:
                break
        elif line:
            break
        position = line_end
    return bytes(octets), position
