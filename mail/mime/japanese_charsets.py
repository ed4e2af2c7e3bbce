"""EUC-JP and ISO-2022-JP as senders and the web mean them (WHATWG Encoding §12.1.1, §12.2.1).

Python's codecs know JIS X 0208 alone. Senders also use NEC's row 13 and IBM's kanji (① ㈱ 髙), as
windows-31j has them, so pairs that Python refuses are read by cp932's table.
"""

import codecs
import re

_ERRORS = "postriver.cp932"
# Where the two tables differ, cp932's is what Shift-JIS text of the same sender becomes.
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
    """EUC-JP; U+FFFD for what it has no meaning for."""
    return octets.decode("euc_jp", _ERRORS).translate(_AS_CP932)


def decode_iso_2022_jp(octets: bytes) -> str:
    """ISO-2022-JP with its extensions, and half-width katakana of eight bits among it."""
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
    """What cp932 has for the pair at the error; U+FFFD for one octet where that has nothing."""
    assert isinstance(error, UnicodeDecodeError)
    pair = error.object[error.start : error.start + 2]
    if len(pair) < 2 or min(pair) < 0xA1 or max(pair) > 0xFE:
        return "\ufffd", error.start + 1
    text = _shift_jis(pair[0] - 0x80, pair[1] - 0x80).decode("cp932", "replace")
    return text if len(text) == 1 else "\ufffd", error.start + 2


def _shift_jis(row: int, cell: int) -> bytes:
    """The pair of JIS X 0208 at `row`, `cell` (from 0x21) as Shift-JIS writes it."""
    lead = ((row - 0x21) >> 1) + 0x81
    trail = cell + 0x1F + (cell >= 0x60) if row & 1 else cell + 0x7E
    return bytes((lead + 0x40 if lead > 0x9F else lead, trail))


codecs.register_error(_ERRORS, _by_cp932)
