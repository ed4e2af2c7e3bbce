"""Octets to text, by the label that came with them, by what is known beside it, or by a guess.

Labels mean what the web and other mail readers take them for (WHATWG Encoding §4.2), because that
is what senders test with: iso-8859-1 is windows-1252, euc-kr is cp949, gb2312 is gb18030. IANA's
names that the web does not know are Python's. Only codecs of text are ever used: a label must not
reach others of Python's (idna, zlib, rot13).
"""

import codecs
import re
from collections.abc import Callable
from encodings.aliases import aliases
from functools import lru_cache

from webencodings.labels import LABELS

from mail.mime.japanese_charsets import decode_euc_jp, decode_iso_2022_jp

LABEL_MAX_CHARS = 64
META_MAX_BYTES = 1024  # HTML §13.2.3.2
_LOOKED_AT_CHARS = 64 * 1024

EUC_JP, ISO_2022_JP = "ours:euc-jp", "ours:iso-2022-jp"
_OURS: dict[str, Callable[[bytes], str]] = {
    EUC_JP: decode_euc_jp,
    ISO_2022_JP: decode_iso_2022_jp,
}
# Encodings of the web by another codec than the one of their name.
_WEB: dict[str, str] = {
    "windows-1252": "cp1252", "windows-874": "cp874", "gbk": "gb18030", "big5": "big5hkscs",
    "euc-kr": "cp949", "shift_jis": "cp932", "euc-jp": EUC_JP, "iso-2022-jp": ISO_2022_JP,
    "macintosh": "mac-roman", "x-mac-cyrillic": "mac-cyrillic", "iso-8859-8-i": "iso-8859-8",
}  # fmt: skip
_NOT_OF_MAIL = frozenset({"replacement", "x-user-defined"})
# Labels that mail knows and neither the web nor Python does, or that Python takes otherwise.
_MAIL: dict[str, tuple[str, ...]] = {
    "utf-8": ("utf8mb4", "cp65001", "utf-8-sig"),
    "utf-16": ("utf-16", "unicode", "ucs-2", "iso-10646-ucs-2", "csunicode"),
    "utf-16-be": ("utf-16be", "unicodefffe"),
    "utf-32-be": ("iso-10646-ucs-4", "csucs4", "ucs-4"),
    "utf-7": ("unicode-1-1-utf-7",),
    "cp1252": ("iso-latin-1", "iso-8859-1-windows-3.1-latin-1", "ansi", "x-ansi", "cp819"),
    "iso8859-15": ("latin-9",),
    "cp874": ("tis620", "cp874", "iso-ir-166"),
    "cp949": ("uhc", "ms949", "x-windows-949", "ksc-5601-1987", "euckr"),
    "johab": ("ms1361",),
    "cp932": ("shift-jisx0213", "shift-jis-2004", "cp932", "cp943", "x-ms-cp932"),
    EUC_JP: ("eucjp", "eucjp-ms", "eucjp-win", "euc-jp-ms", "cp51932", "ujis"),
    ISO_2022_JP: (
        "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-2004", "iso-2022-jp-ext",
        "iso-2022-jp-ms", "cp50220", "cp50221", "cp50222", "csiso2022jp2", "jis",
    ),
    "gb18030": ("gb18030-2000", "gb2312-80", "gb2312-1980", "euc-cn", "euccn", "cp936", "ms936",
        "windows-936"),
    "big5hkscs": ("cp950", "ms950", "windows-950", "big5-eten", "big5-hkscs-2004"),
    "cp737": ("ibm737", "737"), "cp720": ("ibm720", "720"), "cp856": ("ibm856", "856"),
    "cp1006": ("ibm1006",), "koi8-t": (), "koi8-u": ("koi8-ru",), "mac-croatian": (),
    "mac-romanian": (),
}  # fmt: skip
_NO_TEXT = frozenset({
    "base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec",
    "zlib_codec",
})  # fmt: skip
# Labels that name no charset: what they came with is guessed.
_UNDECLARED = ("ascii", "us-ascii", "ansi_x3.4-1968")
_NOT_IN_KEY = re.compile("[^a-z0-9]")
# Codecs whose octets beyond ASCII are no evidence against UTF-8, as they are UTF or have none.
_NOT_MISTAKEN = frozenset({"utf-8", "utf-7", ISO_2022_JP, "iso2022_kr", "hz"})
_EUC_PAIRS = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xfe][\xa1-\xfe])*+")
_HANGUL_SHARE = 0.8
_META = re.compile(
    rb"<(?:meta\s[^>]{0,512}?charset|\?xml\s[^>]{0,512}?encoding)\s{0,16}=[\s\"']{0,16}"
    rb"([\w.:+-]{1,64})",
    re.IGNORECASE,
)


def _key(label: str) -> str:
    """Labels differ by letters and digits alone, as in UTS #22 §1.4."""
    return _NOT_IN_KEY.sub("", label.lower())


def _codecs_by_key() -> dict[str, str]:
    """Ours before the web's before Python's."""
    found = {
        _key(name): codec
        for alias, codec in aliases.items()
        if codec not in _NO_TEXT
        for name in (alias, codec)
    }
    found |= {_key(label): _WEB.get(name, name) for label, name in LABELS.items()
              if name not in _NOT_OF_MAIL}  # fmt: skip
    found |= {_key(label): codec for codec, labels in _MAIL.items() for label in (codec, *labels)}
    for label in _UNDECLARED:
        found.pop(_key(label), None)
    return found


_CODEC_OF = _codecs_by_key()


@lru_cache(maxsize=256)
def codec_of(label: str) -> str | None:
    """The codec that a label means; None: an unknown label, or one that names no charset."""
    return _CODEC_OF.get(_key(label[:LABEL_MAX_CHARS]))


def decode_text(octets: bytes, label: str = "", *, beside: str = "") -> str:
    """By `label`; where it is absent, us-ascii or unknown by `guess_text`. Never fails.

    What the charset has no meaning for becomes U+FFFD. UTF-8 under a label that makes mojibake of
    it is read as UTF-8.
    """
    codec = codec_of(label)
    if codec is None:
        return guess_text(octets, beside)
    text = _by_codec(octets, codec)
    if codec in _NOT_MISTAKEN or octets.isascii():
        return text
    utf_8 = _utf_8(octets)
    return text if utf_8 is None or not _is_mojibake(text, utf_8, octets, codec) else utf_8


def guess_text(octets: bytes, beside: str = "") -> str:
    """Undeclared octets: UTF-8 if it is valid, else `beside`, the charset of something near.

    Else Korean (EUC-KR), which needs every octet over 127 to stand in an EUC pair and most of the
    letters so read to be Hangul; else Western (windows-1252), whose accented letters stand alone
    among ASCII. Seven-bit text with the escape sequences of ISO-2022-JP is that.
    """
    if octets.isascii():
        return _by_codec(octets, ISO_2022_JP if b"\x1b$" in octets else "ascii")
    utf_8 = _utf_8(octets)
    if utf_8 is not None:
        return utf_8
    if octets[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return _by_codec(octets, "utf-16")
    codec = codec_of(beside)
    if codec is None or codec == "utf-8":
        codec = "euc_kr" if _is_korean(octets) else "cp1252"
    return _by_codec(octets, codec)


def meta_charset(html: bytes) -> str:
    """The charset that a page names in its first META_MAX_BYTES (HTML §13.2.3.2); "": none."""
    found = _META.search(html[:META_MAX_BYTES])
    label = found[1].decode("ascii", "replace") if found else ""
    # Whoever can read this label reads no UTF-16.
    return "utf-8" if (codec_of(label) or "").startswith(("utf-16", "utf-32")) else label


def _utf_8(octets: bytes) -> str | None:
    """As UTF-8, whose end may be cut in a character that is not the first. None: it is not."""
    try:
        text, length = codecs.utf_8_decode(octets, "strict", False)
    except UnicodeDecodeError:
        return None
    if length == len(octets):
        return text
    return None if text.isascii() else text + "\ufffd"


def _is_mojibake(text: str, utf_8: str, octets: bytes, codec: str) -> bool:
    """Whether `text`, `octets` by their label, looks worse than `utf_8`, which is valid.

    Short words of other charsets are valid UTF-8 by chance: their letters are letters in `text`.
    """
    foreign = [one for one in utf_8[:_LOOKED_AT_CHARS] if one > "\x7f"]
    if codec in _MANY_OCTETS:
        many = sum(one > "\u07ff" for one in foreign)
        return "\ufffd" in text or (many > 0 and len(foreign) > 2) or len(set(foreign)) > 4
    if octets.startswith(codecs.BOM_UTF8):
        return True
    odd = any(one > "\x7f" and not one.isalpha() for one in text[:_LOOKED_AT_CHARS])
    return odd and (len(foreign) > 2 or all(map(_is_common, foreign)))


_MANY_OCTETS = frozenset({
    "cp949", "cp932", "gb18030", "big5hkscs", EUC_JP, "johab", "euc_jis_2004", "shift_jis_2004",
    "utf-16", "utf-16-le", "utf-16-be", "utf-16le", "utf-16be", "utf_32", "utf_32_le",
})  # fmt: skip


def _is_common(letter: str) -> bool:
    """Latin, or of three octets: no word of one octet a letter looks so by chance."""
    return "\xa0" <= letter < "\u0250" or letter > "\u07ff"


def _by_codec(octets: bytes, codec: str) -> str:
    decode = _OURS.get(codec)
    try:
        text = decode(octets) if decode else octets.decode(codec, "replace")
        return text.removeprefix("\ufeff")
    except (UnicodeError, ValueError):  # some codecs fail in spite of "replace"
        return octets.decode("latin-1")


def _is_korean(octets: bytes) -> bool:
    sample = octets[:_LOOKED_AT_CHARS]
    if len(sample) < len(octets):
        sample = sample[: sample.rfind(b"\n") + 1]
    if not sample or not _EUC_PAIRS.fullmatch(sample):
        return False
    foreign = [character for character in sample.decode("euc_kr", "replace") if character > "\x7f"]
    hangul = sum("가" <= character <= "힣" for character in foreign)
    return hangul >= _HANGUL_SHARE * len(foreign)
