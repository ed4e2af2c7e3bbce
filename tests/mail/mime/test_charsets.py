"""Charsets: labels, guesses, and labels that must not select other codecs of Python."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webencodings.labels import LABELS

from mail.mime.charsets import _CODEC_OF, codec_of, decode_text, guess_text, meta_charset


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [
        ("한국어 똠방각하", "cp949", "EUC-KR"),
        ("한국어", "euc_kr", "ks_c_5601-1987"),
        ("こんにちは", "iso2022_jp", "ISO-2022-JP"),
        ("こんにちは①", "cp932", "shift_jis"),
        ("镕你好", "gb18030", "gb2312"),
        ("你好", "big5", "Big5"),
        ("“quoted” €", "cp1252", "iso-8859-1"),
        ("Привет", "koi8-r", "KOI8-R"),
        ("é", "utf-8-sig", "UTF-8"),
        ("é", "utf-8", ' "utf-8" '),
    ],
)
def test_labels_mean_what_senders_mean(text: str, codec: str, label: str) -> None:
    assert decode_text(text.encode(codec), label) == text


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("안녕하세요 hello 반갑습니다", "euc_kr"),
        ("안녕", "utf-8"),
        ("Grüße aus Köln", "cp1252"),
        ("“Ça va?” – très bien", "cp1252"),
        ("会議の件", "iso2022_jp"),
        ("plain", "ascii"),
    ],
)
def test_guesses(text: str, codec: str) -> None:
    assert guess_text(text.encode(codec)) == text
    assert decode_text(text.encode(codec), "us-ascii") == text


@pytest.mark.parametrize("label", ["base64", "zlib", "idna", "punycode", "unicode_escape", "rot13"])
def test_other_codecs_of_python_are_out_of_reach(label: str) -> None:
    assert decode_text(b"\\x41 eJw= uryyb", label) == "\\x41 eJw= uryyb"


def test_every_label_of_the_web_has_a_codec() -> None:
    undeclared = {"ascii", "us-ascii", "ansi_x3.4-1968"}
    no_codec = {"iso-2022-cn", "iso-2022-cn-ext", "replacement", "x-user-defined"}
    assert {label for label in LABELS if codec_of(label) is None} == undeclared | no_codec
    for codec in set(_CODEC_OF.values()):
        assert decode_text(b"", codec) == ""
        if not codec.startswith("ours:"):
            assert codecs.lookup(codec)._is_text_encoding


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("ISO_8859-8:1988", "iso8859-8"), ("csISO88598I", "iso8859-8"), ("IBM852", "cp852"),
        ("852", "cp852"), ("csPC862LatinHebrew", "cp862"), ("ibm737", "cp737"), ("cp775", "cp775"),
        ("UTF-32", "utf-32"), ("utf-32le", "utf-32-le"), ("x-mac-cyrillic", "mac-cyrillic"),
        ("iso_8859-1:1987", "cp1252"), ("KOI8-RU", "koi8-u"), ("utf8", "utf-8"), ("866", "cp866"),
    ],
)  # fmt: skip
def test_labels_of_the_web_and_of_iana(label: str, codec: str) -> None:
    text = "".join(bytes([code]).decode(codec, "ignore") for code in range(0xE0, 0xF0)) or "Ж你"
    assert decode_text(text.encode(codec), label) == text


NEC_AND_IBM = [("①②㈱Ⅲ№", b"\xad\xa1\xad\xa2\xad\xea\xad\xb7\xad\xe2"), ("髙", b"\xfc\xe2")]


@pytest.mark.parametrize(("text", "pairs"), NEC_AND_IBM)
@pytest.mark.parametrize("label", ["iso-2022-jp", "cp50220", "ISO-2022-JP-MS", "csISO2022JP"])
def test_iso_2022_jp_includes_the_characters_of_windows(
    text: str, pairs: bytes, label: str
) -> None:
    seven = bytes(octet & 0x7F for octet in pairs)
    octets = b"a\x1b$B" + seven + b"$N\x1b(I1\x1b(Bz\n\x1b$B" + seven + b"\x1b(J"
    assert decode_text(octets, label) == f"a{text}のｱz\n{text}"


@pytest.mark.parametrize(("text", "pairs"), NEC_AND_IBM)
def test_euc_jp_includes_the_characters_of_windows_and_stays_in_step(
    text: str, pairs: bytes
) -> None:
    around = "会議の"
    octets = around.encode("euc_jp") + pairs + around.encode("euc_jp") + b"\xff\xa4"
    assert decode_text(octets, "EUC-JP") == f"{around}{text}{around}\ufffd\ufffd"


def test_all_japanese_encodings_give_the_same_characters() -> None:
    text = "会議〜−‖￠￡￢".translate(str.maketrans("〜−‖", "～－∥"))
    jis = text.encode("cp932")
    assert decode_text(jis, "shift_jis") == text
    written = text.translate(str.maketrans("～－∥￠￡￢", "〜−‖¢£¬"))
    assert decode_text(written.encode("euc_jp"), "euc-jp") == text
    assert decode_text(written.encode("iso2022_jp"), "iso-2022-jp") == text


@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1250", "koi8-r", "euc-kr", "gbk", "big5"])
@pytest.mark.parametrize(
    "text", ["Dzień dobry, 500 €", "会議の件、四時です", "안녕하세요", "Привет, мир"]
)
def test_utf_8_under_another_label_is_utf_8(label: str, text: str) -> None:
    assert decode_text(text.encode(), label) == text
    cut = (text * 500).encode()[:-1]
    assert decode_text(cut, label)[:-1] == (text * 500)[:-1]


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("её", "koi8-r"),
        ("СЁ", "cp1251"),
        ("groß”", "cp1252"),
        ("联通", "gbk"),
        ("카페", "cp949"),
        ("호호호호호호", "cp949"),
    ],
)
def test_short_words_that_are_utf_8_by_chance_keep_their_label(text: str, codec: str) -> None:
    assert decode_text(text.encode(codec), codec) == text


@given(st.sampled_from(["cp1252", "cp1251", "koi8-r", "cp949", "gb18030", "cp932"]), st.data())
def test_words_are_decoded_by_their_declared_charset(codec: str, data: st.DataObject) -> None:
    alphabet = {
        "cp1252": "aeé ßüàñ", "cp1251": "абвгд её", "koi8-r": "абвгд её", "cp949": "가나다 안녕",
        "gb18030": "你好会议在四 点", "cp932": "会議の件です ア",
    }[codec]  # fmt: skip
    text = data.draw(st.text(alphabet, min_size=1, max_size=40))
    assert decode_text(text.encode(codec), codec) == text


def test_the_fallback_charset_is_used_before_the_guess() -> None:
    russian, chinese = "Десять писем", "您的订单已发货"
    assert guess_text(russian.encode("koi8-r"), "koi8-r") == russian
    assert guess_text(chinese.encode("gbk"), "gb2312") == chinese
    assert guess_text(chinese.encode(), "gb2312") == chinese
    assert guess_text("Grüße".encode("latin-1"), "utf-8") == "Grüße"
    assert decode_text(russian.encode("koi8-r"), "x-unknown", fallback_charset="koi8-r") == russian


@pytest.mark.parametrize(
    ("html", "charset"),
    [
        (b'<meta charset="GBK">', "GBK"),
        (b"<META http-equiv=Content-Type content='text/html; charset=koi8-r'>", "koi8-r"),
        (b'<?xml version="1.0" encoding="big5"?><html>', "big5"),
        (b"<meta charset = utf-16>", "utf-8"),
        (b"<meta name=a content=b><meta charset=euc-jp/>", "euc-jp"),
        (b" " * 1024 + b"<meta charset=gbk>", ""),
        (b"<p>charset=gbk</p>", ""),
    ],
)
def test_the_charset_declared_in_a_page(html: bytes, charset: str) -> None:
    assert meta_charset(html) == charset


@given(st.binary(max_size=60), st.sampled_from(sorted(_CODEC_OF)) | st.text(max_size=8))
def test_any_octets_and_any_label_are_decoded(octets: bytes, label: str) -> None:
    assert isinstance(decode_text(octets, label), str)
