"""Fuzz target for view documents: a browser parses them, and finds nothing active in them.

The sanitizer and the browser must agree on how the document is parsed, else markup may change its
meaning between them (mutation XSS).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from mail.html.sanitizer import sanitise_viewed
from mail.html.view_document import view_document
from tests.api.webmail.hostile.audit import AUDIT, RULES
from tests.api.webmail.hostile.html_cases import CASES, MADE
from tests.fuzz.target import Target, encoded
from tests.support.browser import ARGUMENTS, CHROMIUM

_PIECE = re.compile(r"<[^<>]*>|[^<>]+|[<>]")
_PIECES_MAX_CHARS = 200
URLS = {"logo@x": "attachments/2?inline=true"}
_pages: list[Page] = []


def view(data: bytes) -> None:
    html = sanitise_viewed(data.decode("utf-8", "replace"), URLS)
    document = view_document(html, title="<b>").html
    faults = _pages[-1].evaluate(AUDIT, {**RULES, "html": document})
    assert faults == []


@contextmanager
def _browser() -> Iterator[None]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        _pages.append(browser.new_page())
        yield
        _pages.pop()
        browser.close()


def _words() -> tuple[bytes, ...]:
    """The tags and texts of all hostile cases, and the cases themselves."""
    written = [html for name, html in CASES.items() if name not in MADE]
    pieces = {piece for html in written for piece in _PIECE.findall(html)}
    short = sorted(piece for piece in pieces if len(piece) <= _PIECES_MAX_CHARS)
    return encoded(*short, *(html for html in written if len(html) <= 10 * _PIECES_MAX_CHARS))


TARGETS = (Target("view", view, _words(), around=_browser, examples=150),)
