"""Search snippets: the matching words are marked, and the text is escaped."""

import html
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.query.highlighter import EXAMINED_CHARS, PREVIEW_MAX_CHARS, Highlighter
from mail.query.matcher import SearchedDocument, fits
from mail.query.parser import parse
from mail.query.tree import QueryContext, WordsNode
from tests.contracts.search_cases import document
from tests.support.query_trees import SAMPLES, WORDS, trees


def highlighter(query: str) -> Highlighter:
    return Highlighter(parse(query, QueryContext(now_ms=0)).node)


def preview(query: str, body: str) -> str | None:
    return highlighter(query).highlight("", body).preview


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
    snippet = preview("needle", "lorem ipsum " * 500 + "needle" + " dolor sit" * 500)
    assert re.match(r"(lorem|ipsum) ", snippet)
    assert "ipsum <mark>needle</mark> dolor" in snippet
    assert len(snippet) <= PREVIEW_MAX_CHARS + len("<mark></mark>")


def test_text_beyond_the_limit_is_not_examined():
    assert preview("late", "x " * EXAMINED_CHARS + "late") is None


@given(
    trees(WORDS), st.lists(st.sampled_from([*SAMPLES, "<b>", "&amp;", "\n"]) | st.text(max_size=9))
)
def test_marked_text_is_part_of_the_body(node, parts):
    body = " ".join(parts)
    highlights = Highlighter(node).highlight(body, body)
    for text in filter(None, (highlights.subject, highlights.preview)):
        plain = html.unescape(re.sub("</?mark>", "", text))
        assert plain.strip() in re.sub(r"\s+", " ", body)
        assert "<" not in re.sub("</?mark>", "", text)
        assert text.count("<mark>") == text.count("</mark>") > 0


@given(WORDS, st.lists(st.sampled_from(SAMPLES), max_size=8).map(" ".join))
def test_a_text_has_marks_exactly_if_it_matches(words, body):
    node = WordsNode(words.pieces, None, words.prefix)
    matches = fits(node, SearchedDocument(document("a", body=body)))
    assert (Highlighter(node).highlight("", body).preview is not None) == matches


def test_a_page_of_long_texts_takes_a_bounded_time():
    """Fifty texts of the most expensive kind; the limit is generous for any machine."""
    page, began_s = highlighter("한국 국어"), time.process_time()
    for _ in range(50):
        page.highlight("x" * 998, "한국 e\u0301 " * 40_000)
    assert time.process_time() - began_s < 10
