"""What a reader does with a mail: details, files, paper, search, notifications."""

import asyncio
import base64
import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.support.edge_world import HTML, PLAIN
from tests.support.waiting import until
from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
DOT = base64.b64decode(  # a PNG of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
FILES = (
    b"From: Bob <bob@postriver.test>\r\nTo: alice@postriver.test, Carol <carol@x.test>\r\n"
    b"Cc: dan@x.test\r\nSubject: Files\r\nMessage-ID: <files@x.test>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n'
    + b"".join(b"<p>Line %d of the report, which is long enough to fill a page.</p>" % at
               for at in range(80))
    + b'\r\n--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename="dot.png"'
    b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(DOT)
    + b'\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="a.txt"'
    b"\r\n\r\nText of the file\r\n--b--\r\n"
)  # fmt: skip
AWAY = """
  window.shown = [];
  window.Notification = class {
    static permission = "granted";
    constructor(title, options) { Object.assign(this, {title, ...options}); shown.push(this); }
    close() {}
  };
  Object.defineProperty(document, "hidden", {get: () => window.isAway === true});
"""


async def test_details_files_and_octets_of_a_mail(browser, world) -> None:
    row = await world.deliver(FILES)
    watched = await opened(browser, world)
    page = watched.page
    await watched.row("Files").click()
    await page.locator(".recipients button").click()
    details = page.locator("dl.details")
    for text in ("Bob <bob@postriver.test>", "Carol <carol@x.test>", "dan@x.test",
                 "files@x.test", "1.5 (HTML_MESSAGE)", "scan clean 12.5 ms",
                 row.message_id):  # fmt: skip
        await expect(details).to_contain_text(text)
    await page.get_by_role("button", name="dot.png").click()
    image = page.locator("dialog img")
    await expect(image).to_be_visible()
    await expect(image).to_have_js_property("naturalWidth", 1)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="a.txt").click()
    await expect(
        page.frame_locator("dialog iframe").get_by_text("Text of the file")
    ).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="More for this message").click()
    async with page.expect_download() as downloading:
        await page.get_by_role("menuitem", name="Save as .eml").click()
    saved = (await (await downloading.value).path()).read_bytes()
    assert saved.endswith(FILES)
    assert watched.bad == []


async def test_on_paper_a_mail_has_its_head_and_is_whole(browser, world) -> None:
    await world.deliver(FILES)
    watched = await opened(browser, world, color_scheme="dark")
    page = watched.page
    await watched.row("Files").click()
    frame = page.locator("iframe.mail")
    await expect(page.frame_locator("iframe.mail").get_by_text("Line 79")).to_be_attached()
    await page.emulate_media(media="print")
    await page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    await expect(page.locator(".on-paper")).to_contain_text("Carol <carol@x.test>")
    await expect(watched.subject).to_be_visible()
    for hidden in (".toolbar", ".sidebar", ".answers", ".list-pane", ".recipients button"):
        await expect(page.locator(hidden).first).to_be_hidden()
    whole = await frame.evaluate(
        "node => node.clientHeight >= node.contentDocument.documentElement.scrollHeight"
    )
    assert whole
    height = await page.evaluate("() => document.documentElement.scrollHeight")
    assert height >= await frame.evaluate("node => node.clientHeight")
    await page.emulate_media(media="screen")
    await page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    await expect(page.locator(".toolbar")).to_be_visible()
    assert watched.bad == []


async def test_each_part_of_a_search_can_be_taken_out(browser, world) -> None:
    await world.deliver(PLAIN % b"otter report", at_ms=1000)
    await world.deliver(PLAIN % "otter 강".encode(), at_ms=2000)
    watched = await opened(browser, world)
    page = watched.page
    await page.keyboard.press("/")
    await page.keyboard.insert_text("otter subject:강 -report")
    await page.keyboard.press("Enter")
    chips = page.locator(".terms .chip")
    await expect(chips).to_have_text(["otter", "subject:강", "-report"])
    await expect(watched.rows).to_have_count(1)
    await page.get_by_role("button", name="Search without subject:강").click()
    await page.get_by_role("button", name="Search without -report").click()
    await expect(chips).to_have_text(["otter"])
    await expect(watched.rows).to_have_count(2)
    await expect(page.locator(".row mark").first).to_have_text("otter")
    await page.get_by_role("button", name="Search without otter").click()
    await expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    assert watched.bad == []


async def test_new_mail_is_notified_only_while_the_page_is_hidden(browser, world) -> None:
    context = {"service_workers": "block"}
    watched = await opened(browser, world, **context)
    page = watched.page
    await page.add_init_script(AWAY)
    await page.reload()
    await expect(page.locator(".connection[data-state=live]")).to_be_attached()
    await world.deliver(PLAIN % b"seen at once")
    await expect(watched.row("seen at once")).to_be_visible()
    await page.evaluate("() => { window.isAway = true; }")
    await world.deliver(PLAIN % b"while away")
    await expect(watched.row("while away")).to_be_visible()
    await expect(page).to_have_title("(2) Inbox · Postriver")
    icon = page.locator("link[rel=icon]")
    await expect(icon).to_have_attribute("href", re.compile("favicon-unread.png$"))
    shown = await page.evaluate("() => shown.map(({title, body}) => [title, body])")
    assert shown == [["Bob", ""]], "the subject is shown only if the user says so"
    await page.evaluate("() => { isAway = false; shown[0].onclick(); }")
    await expect(watched.subject).to_have_text("while away")
    assert watched.bad == []


def asked_for(page: Page) -> set[str]:
    """The conversations that the page asks for from now on."""
    found: set[str] = set()
    page.on("request", lambda one: found.update(re.findall(r"/v1/threads/([\w-]+)", one.url)))
    return found


async def test_a_conversation_is_asked_for_when_the_button_goes_down(browser, world) -> None:
    mail = await world.deliver(PLAIN % b"one", keywords=("$seen",))
    watched = await opened(browser, world)
    row = watched.row("one")
    async with watched.page.expect_response(f"**/v1/threads/{mail.thread_id}?*"):
        await row.locator(".main").dispatch_event("mousedown")
    await expect(watched.subject).to_have_count(0)
    found = asked_for(watched.page)
    await row.locator(".main").dispatch_event("click")
    await expect(watched.subject).to_have_text("one")
    assert found == set()
    assert watched.bad == []


@pytest.mark.parametrize("is_metered", [False, True])
async def test_the_newest_unread_mail_is_read_ahead_unless_data_is_saved(
    browser, world, is_metered
) -> None:
    for at in range(24):
        await world.deliver(PLAIN % b"number %d end" % at, at_ms=1000 + at)
    watched = await opened(browser, world)
    page = watched.page
    await page.add_init_script(
        f"Object.defineProperty(navigator, 'connection', {{value: {{saveData: {is_metered:d}}}}})"
    )
    await page.goto("about:blank")
    found = asked_for(page)
    async with page.expect_response("**/list.js"):
        await page.goto(world.url)
    if is_metered:
        await watched.rows.nth(1).hover()
        await page.evaluate(
            "async () => { for (let n = 9; n; n -= 1) await new Promise(requestIdleCallback); }"
        )
    else:
        await until(lambda: len(found) == 20)
    await page.keyboard.press("End")
    await page.keyboard.press("Enter")
    await expect(watched.subject).to_have_text("number 0 end")
    assert len(found) == (1 if is_metered else 21)
    assert watched.bad == []


async def test_the_document_of_the_mail_that_is_likely_next_is_there_before_it_is_opened(
    browser, world
) -> None:
    for at, name in enumerate((b"third", b"second", b"first")):
        await world.deliver(HTML + PLAIN % name, at_ms=1000 + at, keywords=("$seen",))
    watched = await opened(browser, world)
    page, ahead = watched.page, watched.page.locator(".frames-ahead iframe")
    await watched.row("first").hover()
    await expect(ahead).to_have_count(1)
    inside = ahead.first.content_frame.locator("body")
    await expect(inside).to_contain_text("Hello")
    await expect(ahead.first).to_be_hidden()
    await inside.evaluate("body => { body.dataset.isOfBefore = true; }")
    await watched.row("first").click()
    shown = page.locator("article iframe.mail")
    await expect(shown.content_frame.locator("body[data-is-of-before]")).to_contain_text("Hello")
    await expect(shown).to_be_visible()
    await expect(shown).to_have_attribute("title", re.compile("first"))
    assert await shown.evaluate("node => parseInt(node.style.height)") > 24
    await expect(ahead).to_have_count(2)  # those below it
    await page.keyboard.press("j")
    await expect(watched.subject).to_have_text("second")
    await expect(shown.content_frame.locator("body")).to_contain_text("Hello")
    await expect(ahead).to_have_count(1)
    await page.get_by_role("button", name="Account and display").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(ahead).to_have_count(0)
    assert watched.bad == []


async def test_what_is_read_ahead_waits_until_keys_have_ended(browser, world) -> None:
    watched = await opened(browser, world)
    waited_ms = await watched.page.evaluate(
        """async () => {
          const { src } = document.querySelector("script[type=module]");
          const { $store_state: { calm } } = await import(src);
          dispatchEvent(new KeyboardEvent("keydown", { key: "Shift" }));
          const began = performance.now();
          await calm();
          return performance.now() - began;
        }"""
    )
    assert waited_ms > 350


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
async def test_conversation_and_document_are_asked_for_at_the_same_time(browser, world, by) -> None:
    await world.deliver(HTML + PLAIN % b"formatted", keywords=("$seen",))
    watched = await opened(browser, world)
    page, views, may_answer = watched.page, list[str](), asyncio.Event()
    await expect(watched.row("formatted")).to_be_visible()

    async def later(route: Route) -> None:
        await may_answer.wait()
        await route.continue_()

    await page.route("**/v1/threads/*", later)
    page.on("request", lambda one: one.url.endswith("/view") and views.append(one.url))
    if by == "mouse":
        await watched.row("formatted").locator(".main").dispatch_event("mousedown")
        await watched.row("formatted").locator(".main").dispatch_event("click")
    else:
        await page.keyboard.press("Enter")
    await until(lambda: len(views) == 1)
    may_answer.set()
    shown = page.locator("article iframe.mail")
    await expect(shown.content_frame.locator("body")).to_contain_text("Hello")
    await expect(shown).to_be_visible()
    assert len(views) == 1
    assert watched.bad == []
