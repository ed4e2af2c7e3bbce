"""Charset decoding: octets to text, by the declared label, by a fallback charset, or by a guess.

Labels have the meaning that browsers and other mail readers give them (WHATWG Encoding §4.2),
because senders test with those: iso-8859-1 is windows-1252, euc-kr is cp949, gb2312 is gb18030.
IANA names that the web does not know have the meaning of Python. Only text codecs are used: a label
must not select other codecs of Python (idna, zlib, rot13).
Accepts any octets and any label, and never raises. Linear time.
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
_SAMPLE_CHARS = 64 * 1024

EUC_JP, ISO_2022_JP = "ours:euc-jp", "ours:iso-2022-jp"
_OWN_DECODERS: dict[str, Callable[[bytes], str]] = {
    EUC_JP: decode_euc_jp,
    ISO_2022_JP: decode_iso_2022_jp,
}
# Encodings of the web whose codec has another name in Python.
_WEB_CODECS: dict[str, str] = {
    "windows-1252": "cp1252", "windows-874": "cp874", "gbk": "gb18030", "big5": "big5hkscs",
    "euc-kr": "cp949", "shift_jis": "cp932", "euc-jp": EUC_JP, "iso-2022-jp": ISO_2022_JP,
    "macintosh": "mac-roman", "x-mac-cyrillic": "mac-cyrillic", "iso-8859-8-i": "iso-8859-8",
}  # fmt: skip
_NOT_IN_MAIL = frozenset({"replacement", "x-user-defined"})
# Labels used in mail that the web and Python do not know, or that Python assigns to other codecs.
_MAIL_LABELS: dict[str, tuple[str, ...]] = {
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
_NOT_TEXT_CODECS = frozenset({
    "base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec",
    "zlib_codec",
})  # fmt: skip
# Labels that carry no information: the charset is guessed.
_UNDECLARED = ("ascii", "us-ascii", "ansi_x3.4-1968")
_NOT_IN_KEY = re.compile("[^a-z0-9]")
# Codecs that UTF-8 is never mistaken for: they are UTF-8, or have no octets above 127.
_NEVER_MOJIBAKE = frozenset({"utf-8", "utf-7", ISO_2022_JP, "iso2022_kr", "hz"})
_EUC_PAIRS = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xfe][\xa1-\xfe])*+")
_HANGUL_SHARE = 0.8
_META = re.compile(
    rb"<(?:meta\s[^>]{0,512}?charset|\?xml\s[^>]{0,512}?encoding)\s{0,16}=[\s\"']{0,16}"
    rb"([\w.:+-]{1,64})",
    re.IGNORECASE,
)


def _key(label: str) -> str:
    """Return the normal form of a label: only letters and digits count (UTS #22 §1.4)."""
    return _NOT_IN_KEY.sub("", label.lower())


def _codecs_by_key() -> dict[str, str]:
    """Return codecs by label key: mail labels override web labels, which override Python's."""
    codecs_by_key = {
        _key(name): codec
        for alias, codec in aliases.items()
        if codec not in _NOT_TEXT_CODECS
        for name in (alias, codec)
    }
    codecs_by_key |= {
        _key(label): _WEB_CODECS.get(name, name)
        for label, name in LABELS.items()
        if name not in _NOT_IN_MAIL
    }
    codecs_by_key |= {
        _key(label): codec for codec, labels in _MAIL_LABELS.items() for label in (codec, *labels)
    }
    for label in _UNDECLARED:
        codecs_by_key.pop(_key(label), None)
    return codecs_by_key


_CODEC_OF = _codecs_by_key()


@lru_cache(maxsize=256)
def codec_of(label: str) -> str | None:
    """Return the codec of a label; None: the label is unknown or names no charset."""
    return _CODEC_OF.get(_key(label[:LABEL_MAX_CHARS]))


def decode_text(octets: bytes, label: str = "", *, fallback_charset: str = "") -> str:
    """Decode by `label`; if the label is absent, us-ascii or unknown, by `guess_text`.

    Octets without a meaning in the charset become U+FFFD. UTF-8 with a label that would turn it
    into mojibake is decoded as UTF-8.
    """
    codec = codec_of(label)
    if codec is None:
        return guess_text(octets, fallback_charset)
    text = _decode_by(octets, codec)
    if codec in _NEVER_MOJIBAKE or octets.isascii():
        return text
    utf_8 = _utf_8(octets)
    return text if utf_8 is None or not _is_mojibake(text, utf_8, octets, codec) else utf_8


def guess_text(octets: bytes, fallback_charset: str = "") -> str:
    """Decode octets without a declared charset.

    Seven-bit text with escape sequences of ISO-2022-JP is decoded as such. Otherwise the first that
    applies: UTF-8, if valid; UTF-16, by its byte-order mark; `fallback_charset`, for example the
    charset of another part of the mail; EUC-KR, if every octet above 127 is in an EUC pair and
    most of the decoded characters are Hangul; windows-1252.
    """
    if octets.isascii():
        return _decode_by(octets, ISO_2022_JP if b"\x1b$" in octets else "ascii")
    utf_8 = _utf_8(octets)
    if utf_8 is not None:
        return utf_8
    if octets[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return _decode_by(octets, "utf-16")
    codec = codec_of(fallback_charset)
    if codec is None or codec == "utf-8":
        codec = "euc_kr" if _is_korean(octets) else "cp1252"
    return _decode_by(octets, codec)


def meta_charset(html: bytes) -> str:
    """Return the charset in the first META_MAX_BYTES of a page (HTML §13.2.3.2), else ""."""
    declaration = _META.search(html[:META_MAX_BYTES])
    label = declaration[1].decode("ascii", "replace") if declaration else ""
    # The label was readable as ASCII, so the page is not UTF-16 or UTF-32.
    return "utf-8" if (codec_of(label) or "").startswith(("utf-16", "utf-32")) else label


def _utf_8(octets: bytes) -> str | None:
    """Decode as UTF-8, else None. The end may be cut within a character above ASCII.

    A cut character alone, without others above ASCII, is not accepted as UTF-8.
    """
    try:
        text, length = codecs.utf_8_decode(octets, "strict", False)
    except UnicodeDecodeError:
        return None
    if length == len(octets):
        return text
    return None if text.isascii() else text + "\ufffd"


def _is_mojibake(text: str, utf_8: str, octets: bytes, codec: str) -> bool:
    """Whether `text`, decoded by the label, is less plausible than `utf_8`, which is valid UTF-8.

    Short words in other charsets can be valid UTF-8 by chance. In `text` they have alphabetic
    characters only, while mojibake also has symbols.
    """
    foreign = [character for character in utf_8[:_SAMPLE_CHARS] if character > "\x7f"]
    if codec in _MULTIBYTE:
        three_octets = sum(character > "\u07ff" for character in foreign)
        return "\ufffd" in text or (three_octets > 0 and len(foreign) > 2) or len(set(foreign)) > 4
    if octets.startswith(codecs.BOM_UTF8):
        return True
    has_symbols = any(
        character > "\x7f" and not character.isalpha() for character in text[:_SAMPLE_CHARS]
    )
    return has_symbols and (len(foreign) > 2 or all(map(_is_common, foreign)))


_MULTIBYTE = frozenset({
    "cp949", "cp932", "gb18030", "big5hkscs", EUC_JP, "johab", "euc_jis_2004", "shift_jis_2004",
    "utf-16", "utf-16-le", "utf-16-be", "utf-16le", "utf-16be", "utf_32", "utf_32_le",
})  # fmt: skip


def _is_common(character: str) -> bool:
    """Whether `character` is Latin or has three octets in UTF-8.

    Text in a single-octet charset does not form such characters by chance.
    """
    return "\xa0" <= character < "\u0250" or character > "\u07ff"


def _decode_by(octets: bytes, codec: str) -> str:
    decode = _OWN_DECODERS.get(codec)
    try:
        text = decode(octets) if decode else octets.decode(codec, "replace")
        return text.removeprefix("\ufeff")
    except (UnicodeError, ValueError):  # some codecs raise in spite of "replace"
        return octets.decode("latin-1")


def _is_korean(octets: bytes) -> bool:
    sample = octets[:_SAMPLE_CHARS]
    if len(sample) < len(octets):
        sample = sample[: sample.rfind(b"\n") + 1]
    if not sample or not _EUC_PAIRS.fullmatch(sample):
        return False
    foreign = [character for character in sample.decode("euc_kr", "replace") if character > "\x7f"]
    hangul = sum("가" <= character <= "힣" for character in foreign)
    return hangul >= _HANGUL_SHARE * len(foreign)
