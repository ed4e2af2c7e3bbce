"""Charsets: labels, guesses, and nothing that is no charset."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.charsets import _CODECS, decode_text, guess_text


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


def test_every_codec_of_the_table_exists() -> None:
    assert all(codecs.lookup(codec) for codec in _CODECS)


@given(st.binary(max_size=60), st.sampled_from(sorted(_CODECS)) | st.text(max_size=8))
def test_no_octets_and_no_label_fail(octets: bytes, label: str) -> None:
    assert isinstance(decode_text(octets, label), str)
