"""What is shown of a hit: the right words marked, and nothing that could run."""

import html
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.query.highlighter import EXAMINED_CHARS, PREVIEW_MAX_CHARS, Highlighter
from mail.query.matcher import has_words
from mail.query.parser import parse
from mail.query.tokenizer import tokens
from mail.query.tree import QueryContext, WordsNode
from tests.support.query_trees import SAID, WORDS, trees


def marker(query: str) -> Highlighter:
    return Highlighter(parse(query, QueryContext(now_ms=0)).node)


def preview(query: str, body: str) -> str | None:
    return marker(query).highlight("", body).preview


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ("tea", "Tea, and tea.", "<mark>Tea</mark>, and <mark>tea</mark>."),
        ("te*", "team tea at", "<mark>team</mark> <mark>tea</mark> at"),
        ('"green tea"', "tea green tea green", "tea <mark>green tea</mark> green"),
        ('"green te"*', "green\n\n team", "<mark>green team</mark>"),
        ("a@b.example", "from a@b.example.", "from <mark>a@b.example</mark>."),
        ("의록", "다음 회의록을", "다음 회<mark>의록</mark>을"),
        ("의", "의회 회의", "<mark>의</mark>회 회<mark>의</mark>"),
        ("2024년", "서울2024년도", "서울<mark>2024년</mark>도"),
        ("テスト", "ﾃｽﾄ送信", "<mark>ﾃｽﾄ</mark>送信"),
        ("creme", "la Cre\u0300me <b>", "la <mark>Cre\u0300me</mark> &lt;b&gt;"),
        ("strasse", "die Straße", "die <mark>Straße</mark>"),
        ("회의", "\u1112\u116c\u110b\u1174 x", "<mark>\u1112\u116c\u110b\u1174</mark> x"),
        ("newsletter", "a new\u00adsletter", "a <mark>new\u00adsletter</mark>"),
        ("b", "<b>mark & co</b", "&lt;<mark>b</mark>&gt;mark &amp; co&lt;/<mark>b</mark>"),
        ("tea -green", "green tea", "green <mark>tea</mark>"),
        ("subject:tea", "tea", None),
        ("from:tea is:unread larger:1", "tea", None),
        ("absent", "tea", None),
        ("-tea", "tea", None),
    ],
)  # fmt: skip
def test_matches_are_marked_and_text_is_escaped(query, body, expected):
    assert preview(query, body) == expected


def test_a_preview_is_short_and_begins_at_a_word_before_the_match():
    found = preview("needle", "lorem ipsum " * 500 + "needle" + " dolor sit" * 500)
    assert re.match(r"(lorem|ipsum) ", found)
    assert "ipsum <mark>needle</mark> dolor" in found
    assert len(found) <= PREVIEW_MAX_CHARS + len("<mark></mark>")


def test_what_stands_far_behind_is_not_looked_at():
    assert preview("late", "x " * EXAMINED_CHARS + "late") is None


@given(trees(WORDS), st.lists(st.sampled_from([*SAID, "<b>", "&amp;", "\n"]) | st.text(max_size=9)))
def test_whatever_is_marked_stands_in_the_text(node, parts):
    body = " ".join(parts)
    found = Highlighter(node).highlight(body, body)
    for shown in filter(None, (found.subject, found.preview)):
        plain = html.unescape(re.sub("</?mark>", "", shown))
        assert plain.strip() in re.sub(r"\s+", " ", body)
        assert "<" not in re.sub("</?mark>", "", shown)
        assert shown.count("<mark>") == shown.count("</mark>") > 0


@given(WORDS, st.lists(st.sampled_from(SAID), max_size=8).map(" ".join))
def test_words_are_marked_where_they_are_found(words, body):
    asked = WordsNode(words.pieces, None, words.prefix)
    found = has_words(asked, {"subject": [], "sender": [], "to": [], "cc": [], "filenames": [],
                              "body": tokens(body)})  # fmt: skip
    assert (Highlighter(asked).highlight("", body).preview is not None) == found


def test_a_page_of_long_texts_takes_a_bounded_time():
    """Fifty texts of the worst kind; the bound is far above what any machine needs."""
    marking, began_s = marker("한국 국어"), time.process_time()
    for _ in range(50):
        marking.highlight("x" * 998, "한국 e\u0301 " * 40_000)
    assert time.process_time() - began_s < 10
