"""Octets to text, by the label that came with them or by a guess.

Labels mean what the web and other mail readers take them for (WHATWG Encoding §4.2), because that
is what senders test with: iso-8859-1 is windows-1252, euc-kr is cp949, gb2312 is gb18030. Only the
codecs of this table are ever used: a label must not reach others of Python's (idna, zlib, rot13).
"""

import re

_CODECS: dict[str, tuple[str, ...]] = {
    "utf-8": ("utf-8", "utf8", "unicode-1-1-utf-8", "cp65001", "utf-8-sig", "utf8mb4"),
    "utf-7": ("utf-7", "unicode-1-1-utf-7"),
    "utf-16": ("utf-16", "unicode", "ucs-2", "iso-10646-ucs-2"),
    "utf-16-le": ("utf-16le",),
    "utf-16-be": ("utf-16be",),
    "cp1252": (
        "windows-1252", "cp1252", "iso-8859-1", "latin1", "l1", "iso8859-1", "iso-latin-1",
        "cp819", "ansi", "x-ansi", "x-cp1252",
    ),
    "cp1250": ("windows-1250", "cp1250", "x-cp1250"),
    "cp1251": ("windows-1251", "cp1251", "x-cp1251"),
    "cp1253": ("windows-1253", "cp1253"),
    "cp1254": ("windows-1254", "cp1254", "iso-8859-9", "latin5", "iso8859-9"),
    "cp1255": ("windows-1255", "cp1255"),
    "cp1256": ("windows-1256", "cp1256"),
    "cp1257": ("windows-1257", "cp1257"),
    "cp1258": ("windows-1258", "cp1258"),
    "cp874": ("windows-874", "cp874", "tis-620", "iso-8859-11", "tis620"),
    "iso8859-2": ("iso-8859-2", "latin2", "iso8859-2"),
    "iso8859-3": ("iso-8859-3", "latin3"),
    "iso8859-4": ("iso-8859-4", "latin4"),
    "iso8859-5": ("iso-8859-5", "iso8859-5"),
    "iso8859-6": ("iso-8859-6",),
    "iso8859-7": ("iso-8859-7", "iso8859-7"),
    "iso8859-8": ("iso-8859-8", "iso-8859-8-i", "iso-8859-8-e"),
    "iso8859-10": ("iso-8859-10", "latin6"),
    "iso8859-13": ("iso-8859-13",),
    "iso8859-14": ("iso-8859-14",),
    "iso8859-15": ("iso-8859-15", "latin9", "latin-9", "iso8859-15"),
    "iso8859-16": ("iso-8859-16",),
    "koi8-r": ("koi8-r", "koi8"),
    "koi8-u": ("koi8-u",),
    "cp866": ("ibm866", "cp866"),
    "cp437": ("ibm437", "cp437"),
    "cp850": ("ibm850", "cp850"),
    "mac-roman": ("macintosh", "mac-roman", "x-mac-roman"),
    "cp949": (
        "euc-kr", "ks-c-5601-1987", "ks-c-5601", "ksc5601", "ksc-5601", "cp949", "windows-949",
        "uhc", "korean", "x-windows-949", "ks-c-5601-1989", "euckr",
    ),
    "iso2022_kr": ("iso-2022-kr",),
    "johab": ("johab",),
    "cp932": (
        "shift-jis", "sjis", "x-sjis", "shift-jisx0213", "windows-31j", "cp932", "ms932",
        "ms-kanji",
    ),
    "euc_jp": ("euc-jp", "x-euc-jp", "eucjp"),
    "iso2022_jp_ext": (
        "iso-2022-jp", "csiso2022jp", "iso-2022-jp-1", "iso-2022-jp-ms", "cp50220", "cp50221",
        "iso-2022-jp-ext", "iso-2022-jp-3",
    ),
    "iso2022_jp_2": ("iso-2022-jp-2",),
    "gb18030": (
        "gb18030", "gbk", "gb2312", "x-gbk", "gb-2312", "gb-2312-80", "euc-cn", "cp936",
        "windows-936", "chinese", "gb2312-80",
    ),
    "hz": ("hz-gb-2312", "hz"),
    "big5hkscs": ("big5", "big5-hkscs", "cn-big5", "x-x-big5", "big-5", "cp950", "windows-950"),
}  # fmt: skip
_CODEC_OF = {label: codec for codec, labels in _CODECS.items() for label in labels}
_EUC_PAIRS = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xfe][\xa1-\xfe])*")
_HANGUL_SHARE = 0.8


def decode_text(octets: bytes, label: str = "") -> str:
    """By `label`; by a guess when it is absent, us-ascii or unknown. Never fails.

    What the charset has no meaning for becomes U+FFFD.
    """
    codec = _CODEC_OF.get(label.strip(" \t\"'").lower().replace("_", "-"))
    if codec is None:
        return guess_text(octets)
    return _by_codec(octets, codec)


def guess_text(octets: bytes) -> str:
    """Undeclared octets: UTF-8 if it is valid, else Korean (EUC-KR) or Western (windows-1252).

    Korean needs every octet over 127 to stand in an EUC pair, and most of the letters so read to
    be Hangul; accented letters of a Western text stand alone among ASCII. Seven-bit text with the
    escape sequences of ISO-2022-JP is that.
    """
    if octets.isascii():
        return _by_codec(octets, "iso2022_jp_ext" if b"\x1b$" in octets else "ascii")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return _by_codec(octets, "euc_kr" if _is_korean(octets) else "cp1252")


def _by_codec(octets: bytes, codec: str) -> str:
    try:
        return octets.decode(codec, "replace").removeprefix("\ufeff")
    except (UnicodeError, ValueError):  # some codecs fail in spite of "replace"
        return octets.decode("latin-1")


def _is_korean(octets: bytes) -> bool:
    sample = octets[: 64 * 1024]
    if len(sample) < len(octets):
        sample = sample[: sample.rfind(b"\n") + 1]
    if not sample or not _EUC_PAIRS.fullmatch(sample):
        return False
    foreign = [character for character in sample.decode("euc_kr", "replace") if character > "\x7f"]
    hangul = sum("가" <= character <= "힣" for character in foreign)
    return hangul >= _HANGUL_SHARE * len(foreign)
