import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.query.tokenizer import FOLD_MAX_CHARS, TEXT_MAX_CHARS, TOKEN_MAX_CHARS, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Hello, World! 42", ["hello", "world", "42"]),
        ("snake_case don't C++", ["snake", "case", "don", "t", "c"]),
        ("bob.li+x@Mail.example.org", ["bob", "li", "x", "mail", "example", "org"]),
        ("Crème BRÛLÉE Łódź Straße Ærø", ["creme", "brulee", "lodz", "strasse", "aero"]),
        ("İstanbul ısı", ["istanbul", "isi"]),
        ("ＲÉＳＵＭÉ ① ﬁne", ["resume", "1", "fine"]),
        ("한국어 어", ["한국", "국어", "어", "어"]),
        ("食べる がく ｶﾞｸ", ["食べ", "べる", "る", "がく", "く", "ガク", "ク"]),
        ("서울2024년 iPhone用", ["서울", "울", "2024", "년", "iphone", "用"]),
        ("𠮷野家", ["𠮷野", "野家", "家"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("שָׁלוֹם مُحَمَّد", ["שלום", "محمد"]),
        ("الكـــــريم إلى علی این کتاب", ["الكريم", "الي", "علي", "اين", "كتاب"]),
        ("٢٠٢٤ ۱۳۹۹ २०२६年", ["2024", "1399", "2026", "年"]),
        ("new\u00adslet\u200bter 🎉 👍🏽 —", ["newsletter"]),
        ("a\x00b \ud800", ["a", "b"]),
    ],
)
def test_words_of_a_text(text, expected):
    assert tokens(text) == expected


@given(st.text(alphabet=st.characters(max_codepoint=0x7F)))
def test_ascii_alone_is_cut_at_everything_but_letters_and_digits(text):
    words = re.findall("[a-z0-9]+", text.lower())
    assert tokens(text) == [word[:TOKEN_MAX_CHARS] for word in words]


@given(st.text())
def test_a_token_is_limited_and_safe_to_join_and_to_quote(text):
    for token in tokens(text):
        assert 1 <= len(token) <= TOKEN_MAX_CHARS
        assert all(c.isalnum() if c.isascii() else not c.isspace() for c in token)
        assert "\ue000" not in token  # marks the owner in the embedded index
        token.encode()


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_composed_or_not_is_the_same(text):
    assert tokens(unicodedata.normalize("NFD", text)) == tokens(text)


@given(st.lists(st.sampled_from(["한국어", "Crème", "がく", "Й", "x"]), max_size=30))
def test_a_long_text_is_folded_as_its_words_are(words):
    text = " ".join(words) + " "
    many = FOLD_MAX_CHARS // len(text) + 2
    assert tokens(text * many) == tokens(text) * many


def test_text_beyond_the_limit_has_no_tokens():
    assert tokens("x " * TEXT_MAX_CHARS + "late")[-1] == "x"
    assert len(tokens("\ufdfa" * TEXT_MAX_CHARS)) < TEXT_MAX_CHARS


@pytest.mark.parametrize(
    "unit", ["\u0300\u0316", "\u0e38\u3099", "\ufdfa", "a", "ㅋ", "\u00c5\u0323"]
)
def test_hostile_runs_take_no_quadratic_time(unit):
    """Folded at once, a run would take a minute; the limit is generous for any machine."""
    began_s = time.process_time()
    tokens(unit * (TEXT_MAX_CHARS // len(unit)))
    assert time.process_time() - began_s < 10
