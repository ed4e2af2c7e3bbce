"""Decoders of EUC-JP and ISO-2022-JP with Microsoft extensions (WHATWG Encoding §12.1.1, §12.2.1).

The codecs of Python decode JIS X 0208 only. Senders also use the NEC row 13 and the IBM kanji
(① ㈱ 髙) of windows-31j. Pairs that the codecs of Python reject are decoded by the table of cp932.
Accepts any octets; octets without a meaning become U+FFFD. Linear time.
"""

import codecs
import re

_ERRORS = "postriver.cp932"
# Where the tables differ, the character of cp932: Shift-JIS text is decoded by that table too.
_AS_CP932 = str.maketrans("\u2016\u2212\u301c¢£¬", "∥\uff0d\uff5e￠￡￢")
_HIGH = bytes(byte | 0x80 if 0x21 <= byte <= 0x7E else byte for byte in range(256))
_ESCAPE = re.compile(rb"\x1b(\$\([@-~]|\$[@-~]|\([@-~]|&@)")
_ROMAN = str.maketrans("\\~", "¥‾")
# Character sets of two octets, by their escape (ISO-2022-JP-2, RFC 1554; -3, JIS X 0213).
_SETS = {
    b"$@": "euc_jp", b"$B": "euc_jp", b"$(@": "euc_jp", b"$(B": "euc_jp", b"$A": "gb2312",
    b"$(A": "gb2312", b"$(C": "euc_kr", b"$(O": "euc_jis_2004", b"$(Q": "euc_jis_2004",
}  # fmt: skip
_PLANE_TWO = {b"$(D": "euc_jp", b"$(P": "euc_jis_2004"}
_PAIR = re.compile(rb"([\xa1-\xfe]{2})")


def decode_euc_jp(octets: bytes) -> str:
    """Decode EUC-JP."""
    return octets.decode("euc_jp", _ERRORS).translate(_AS_CP932)


def decode_iso_2022_jp(octets: bytes) -> str:
    """Decode ISO-2022-JP with its extensions and with eight-bit half-width katakana."""
    pieces = _ESCAPE.split(octets)
    texts = [_in_set(b"(B", pieces[0])]
    texts += map(_in_set, pieces[1::2], pieces[2::2])
    return "".join(texts)


def _in_set(escape: bytes, octets: bytes) -> str:
    codec = _SETS.get(escape)
    if codec == "euc_jp":
        return decode_euc_jp(octets.translate(_HIGH))
    if codec:
        return octets.translate(_HIGH).decode(codec, "replace")
    if escape in _PLANE_TWO:
        octets = _PAIR.sub(rb"\x8f\1", octets.translate(_HIGH))
        return octets.decode(_PLANE_TWO[escape], "replace")
    if escape == b"(I":
        return octets.translate(_HIGH).decode("cp932", "replace")
    text = octets.decode("cp932", "replace")
    return text.translate(_ROMAN) if escape == b"(J" else text


def _by_cp932(error: UnicodeError) -> tuple[str, int]:
    """Error handler: decode the pair at the error by cp932, or one octet as U+FFFD."""
    assert isinstance(error, UnicodeDecodeError)
    pair = error.object[error.start : error.start + 2]
    if len(pair) < 2 or min(pair) < 0xA1 or max(pair) > 0xFE:
        return "\ufffd", error.start + 1
    text = _shift_jis(pair[0] - 0x80, pair[1] - 0x80).decode("cp932", "replace")
    return text if len(text) == 1 else "\ufffd", error.start + 2


def _shift_jis(row: int, cell: int) -> bytes:
    """Return the Shift-JIS octets of the JIS X 0208 character at `row`, `cell` (from 0x21)."""
    lead = ((row - 0x21) >> 1) + 0x81
    trail = cell + 0x1F + (cell >= 0x60) if row & 1 else cell + 0x7E
    return bytes((lead + 0x40 if lead > 0x9F else lead, trail))


codecs.register_error(_ERRORS, _by_cp932)
