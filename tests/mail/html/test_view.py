"""The view document: nothing in it is active, all styles are its sheet, its quotation is folded."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.html.features import HtmlFeatures, features_of
from mail.html.plain_text_view import BLOCKS_MAX, LINKS_MAX, text_view
from mail.html.quote_folding import CLOSE_FOLD, OPEN_FOLD
from mail.html.remote_images import IMAGES_MAX, URL_MAX_CHARS, RemoteImages
from mail.html.sanitizer import sanitise_viewed
from mail.html.style_sheet import with_classes
from mail.html.view_document import view_document
from tests.mail.html.test_html import ALLOWED_ATTRIBUTES, HOSTILE, REFUSED_TAGS, STRAY

URLS = {"logo@x": "attachments/2?inline=true"}
OWN_TAGS = {"html", "head", "meta", "title", "style", "body"}
STYLES = [
    "color:red",
    "background-color:}x",
    "font-family:'a",
    'font:"b"',
    "width:calc(",
    "color:{",
]


class Inspector(HTMLParser):
    """Fails at markup that could run code, load remote resources, or carry inline styles."""

    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[str] = []
        self.is_sheet = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.is_sheet = tag == "style"
        if tag in OWN_TAGS:
            return
        assert tag not in REFUSED_TAGS
        assert set(values) <= (ALLOWED_ATTRIBUTES | {"class", "src", "aria-label"}) - {"style"}
        assert values.get("src") in {None, *URLS.values()}
        assert (values.get("href") or "#mail-").startswith(("#mail-", "http", "mailto:"))

    def handle_data(self, data: str) -> None:
        if self.is_sheet:
            self.sheets.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.is_sheet = False


def inspect(html: str) -> str:
    """Inspect the document of `html`; return the rules of its mail."""
    document = view_document(sanitise_viewed(html, URLS), title="<b>", own_colours=True)
    inspector = Inspector()
    inspector.feed(document.html)
    (sheet,) = inspector.sheets
    digest = hashlib.sha256(sheet.encode()).digest()
    assert document.style_sha256 == base64.b64encode(digest).decode()
    assert "url" not in sheet
    assert "@" not in sheet
    assert re.fullmatch(r"(?:[^{}]+\{[^{}]+\}\n?)*", sheet)
    return sheet


@pytest.mark.parametrize("html", HOSTILE)
def test_the_document_of_hostile_html_is_harmless(html: str) -> None:
    inspect(html)


@given(st.lists(st.sampled_from([*HOSTILE, *STRAY, *STYLES, '<p style="', "<blockquote>"])))
@settings(max_examples=150, deadline=None)
def test_mixtures_are_harmless(pieces: list[str]) -> None:
    inspect("".join(pieces))


@given(st.lists(st.sampled_from([*STYLES, ";", "(", ")", "[", "]", '"', "'", "x:y", "/*"])))
@settings(max_examples=200, deadline=None)
def test_no_style_reaches_out_of_its_rule(pieces: list[str]) -> None:
    value = "".join(pieces).replace('"', "&quot;")
    _, rules = with_classes(f'<p style="{value}">x</p><b style="color:blue">y</b>')
    *_, last = rules.split("\n")
    assert re.fullmatch(r"\.s\d\{color:blue\}", last)
    assert rules.count("{") == rules.count("}") == rules.count("\n") + 1


def test_styles_are_classes_of_one_sheet() -> None:
    html, rules = with_classes(
        '<p style="color:red" title="a>b">1</p><p class="mail-quote" style="color:red">2</p>'
        '<p style="font-family:&quot;A&quot;">style="color:red"</p>'
    )
    assert html == (
        '<p class="s1" title="a>b">1</p><p class="mail-quote s1">2</p>'
        '<p class="s2">style="color:red"</p>'
    )
    assert rules == '.s1{color:red}\n.s2{font-family:"A"}'


def test_images_of_the_mail_are_attachments_and_others_have_no_source() -> None:
    html = sanitise_viewed(
        '<img src="cid:logo@x" alt="a"><img src="cid:logo%40x"><img src="cid:other">'
        '<img src="https://x.test/1.png" alt="b" width="3"><img src="attachments/9">',
        URLS,
    )
    assert html.count('src="attachments/2?inline=true"') == 2
    assert html.count("src=") == 2
    assert 'alt="b"' in html


def test_remote_images_have_numbers_and_nothing_else_has() -> None:
    """Each URL has one number, also when HTML that needs a second pass is sanitised."""
    html = (
        '<img src="images/0"><img src="https://x.test/1.png"><img src=" HTTP://x.test/2 ">'
        '<img src="//x.test/3"><img src="https://x.test/1.png" alt="a"><img src="images/7">'
        '<img src="data:image/png;base64,xx"><img src="ftp://x.test/4"><img src="/v1/me">'
        f'<img src="https://x.test/{"a" * URL_MAX_CHARS}"><a href="https://x.test/">x</a>'
        '<select><img src="https://x.test/5"></select><div style="background:url(//x.test/6)">'
    )
    remote = RemoteImages()
    clean = sanitise_viewed(html, URLS, remote)
    assert remote.urls == (
        "https://x.test/1.png", "HTTP://x.test/2", "https://x.test/3",
    )  # fmt: skip
    assert re.findall(r'src="([^"]*)"', clean) == ["images/1", "images/2", "images/3", "images/1"]
    many = "".join(f'<img src="https://x.test/{n}">' for n in range(IMAGES_MAX + 5))
    remote = RemoteImages()
    assert sanitise_viewed(many, {}, remote).count("src=") == len(remote.urls) == IMAGES_MAX


@pytest.mark.parametrize(
    ("html", "quotation"),
    [
        ("<p>Yes</p><blockquote>old</blockquote>", "<blockquote>old</blockquote>"),
        ('<div>Yes<div class="x gmail_quote">On … wrote:<blockquote>old</blockquote></div></div>',
         '<div class="mail-quote">On … wrote:<blockquote>old</blockquote></div>'),
        ('<div><p>Yes</p><hr><div id="divRplyFwdMsg">From: b</div><p>old</p></div>',
         '<div id="mail-divRplyFwdMsg">From: b</div><p>old</p>'),
        ("<blockquote>a</blockquote>no<blockquote>b<blockquote>c</blockquote></blockquote><br>",
         "<blockquote>b<blockquote>c</blockquote></blockquote>"),
    ],
)  # fmt: skip
def test_the_quotation_at_the_end_is_folded(html: str, quotation: str) -> None:
    document = view_document(sanitise_viewed(html, {}), title="").html
    assert f"{OPEN_FOLD}{quotation}{CLOSE_FOLD}" in document


@pytest.mark.parametrize(
    "html",
    [
        "<blockquote>all of it</blockquote>",
        "<p>Hi</p><blockquote>old</blockquote><p>an answer below</p>",
        '<p>FYI</p><div class="gmail_quote">---------- Forwarded message ---------<p>new</p></div>',
        "<p>no quotation</p>",
    ],
)
def test_other_quotations_stay_open(html: str) -> None:
    assert OPEN_FOLD not in view_document(sanitise_viewed(html, {}), title="").html


def test_plain_text_has_links_levels_and_a_fold() -> None:
    html = text_view(
        "See (https://x.test/a?b=1&c=2).\n<b>\n\nOn Monday Kim wrote:\n> one\n>> two\n\n"
    )
    assert '<a href="https://x.test/a?b=1&amp;c=2" target="_blank"' in html
    assert "&lt;b&gt;" in html
    fold = html[html.index(OPEN_FOLD) :]
    assert '<div class="mail-level1">one</div><div class="mail-level2">two</div>' in fold
    assert "Kim wrote" not in fold
    assert OPEN_FOLD not in text_view("> one\nanswer")
    assert OPEN_FOLD not in text_view("> only a quotation")
    assert OPEN_FOLD in text_view("Yes.\n-----Original Message-----\nFrom: b\n\nold")
    assert '<div class="mail-signature">-- \nKim</div>' in text_view("Hi\n-- \nKim")


def test_the_document_of_a_text_has_a_bounded_number_of_elements() -> None:
    assert text_view("> a\nb\n" * (BLOCKS_MAX + 1)).count("<div") <= BLOCKS_MAX + 3
    assert "<a " not in text_view("http://a.test " * (LINKS_MAX + 1))
    assert text_view("http://a.test " * LINKS_MAX).count("<a ") == LINKS_MAX


def test_features_are_counted() -> None:
    html = (
        '<img src="https://x.test/a.png"><img src="//x.test/p" width="1" height=1>'
        '<img src=HTTP://x.test/q style="display: none"><img src="cid:a"><p>text</p>'
    )
    assert features_of(html) == HtmlFeatures(remote_images=3, trackers=2)
    assert features_of("<p style='margin:0;COLOR:red'>").own_colours
    assert features_of("<body text=red>").own_colours
    assert not features_of("<p style='border-color:red'>color: red").own_colours
    assert features_of("<div class='gmail_quote'>").quoted
    assert features_of("<blockquote>").quoted
