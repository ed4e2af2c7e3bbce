"""The webmail in a real browser: live updates, reading, keyboard use, gaps, a phone."""

import asyncio
import copy
import re

import pytest
from playwright.async_api import Route, expect

from mail.ids import new_id
from schemas.events.mailbox_commands import ChangeMessages
from schemas.mailbox import SEEN
from stores.memory import MemoryLiveEvents
from tests.support.edge_world import PLAIN, Mailboxes
from tests.support.webmail import opened, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LOST = """text => {
  globalThis.lost = [];
  const rows = document.querySelector(".rows");
  const isThere = () => [...rows.children].some((row) => row.textContent.includes(text));
  new MutationObserver(() => { if (!isThere()) lost.push(performance.now()); })
    .observe(rows, { childList: true, subtree: true, characterData: true });
}"""


async def test_mail_appears_is_read_by_keyboard_and_is_gone_after_signing_out(browser, world):
    await world.deliver(PLAIN % b"Before", at_ms=1000)
    watched = await opened(browser, world)
    page = watched.page
    await expect(watched.rows).to_have_count(1)
    await expect(page.locator(".place", has_text="Inbox").locator(".badge")).to_have_text("1")
    row = await world.deliver(PLAIN % "반가워요".encode())
    await expect(watched.rows).to_have_count(2)
    await expect(watched.row("반가워요")).to_have_attribute("aria-rowindex", "1")
    await expect(page.get_by_text("New message from Bob: 반가워요")).to_be_attached()
    await expect(page).to_have_title("(2) Inbox · Postriver")
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await expect(watched.subject).to_have_text("반가워요")
    await expect(watched.subject).to_be_focused()
    await expect(page.locator(".plain")).to_have_text("Hello")
    await expect(page).to_have_title("(1) Inbox · Postriver")
    kept = await world.store.message("alice", row.message_id)
    assert kept is not None
    assert kept.keywords == ("$seen",)
    await page.keyboard.press("u")
    await expect(page.get_by_text("2 conversations")).to_be_visible()
    await page.get_by_role("button", name="Account and display").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_text("반가워요")).to_have_count(0)
    kept_cookies = [one["name"] for one in await page.context.cookies()]
    assert kept_cookies == ["postriver_0_device"], "it signs nobody in"
    assert watched.bad == []


@pytest.mark.parametrize("locale", ["en-GB", "ko-KR"])
async def test_the_words_are_asked_for_once_before_the_script(browser, world, locale) -> None:
    page = await (await browser.new_context(locale=locale)).new_page()
    await page.goto(world.url)
    await expect(page.locator("input[name=address]")).to_be_visible()
    asked = await page.evaluate(
        """() => performance.getEntriesByType("resource")
            .filter((one) => one.name.includes("/words.")).map((one) => one.initiatorType)"""
    )
    assert asked == ["link"]


async def test_new_mail_stays_while_an_answer_comes_that_is_older(browser, world) -> None:
    await world.deliver(PLAIN % b"first", at_ms=1000)
    watched = await opened(browser, world)
    page, is_read, may_answer = watched.page, asyncio.Event(), asyncio.Event()
    await expect(watched.rows).to_have_count(1)

    async def late(route: Route) -> None:
        answer = await route.fetch()
        is_read.set()
        await may_answer.wait()
        await route.fulfill(response=answer)

    await page.route("**/v1/folders/inbox/threads?*", late)
    await world.deliver(PLAIN % b"second", at_ms=2000)
    await is_read.wait()
    await world.deliver(PLAIN % b"third", at_ms=3000)
    await expect(watched.row("third")).to_be_visible()
    await page.evaluate(LOST, "third")
    async with page.expect_response("**/v1/folders/inbox/threads?*"):
        may_answer.set()
    await expect(watched.rows).to_have_count(3)
    await page.wait_for_timeout(200)
    assert await page.evaluate("() => lost.length") == 0
    assert watched.bad == []


async def test_a_wrong_password_leaves_the_address_in_its_field(browser, world) -> None:
    page = await (await browser.new_context(locale="en-GB")).new_page()
    await page.goto(world.url)
    await page.get_by_label("Address").fill("alice@postriver.test")
    await page.get_by_label("Password", exact=True).fill("not hers")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("Address or password is wrong.")
    await expect(page.get_by_label("Address")).to_have_value("alice@postriver.test")
    await expect(page.get_by_role("button", name="Sign in")).to_be_enabled()


async def test_a_conversation_shows_own_answers_and_grows_while_it_is_open(browser, world) -> None:
    first = b"Message-ID: <1@x.test>\r\n" + PLAIN % b"Plan"
    answer = b"Message-ID: <2@x.test>\r\nReferences: <1@x.test>\r\n" + (PLAIN % b"Re: Plan")
    await world.deliver(first, keywords=("$seen",), at_ms=1000)
    await world.deliver(answer, keywords=("$seen",), at_ms=2000, folder_id="sent")
    watched = await opened(browser, world)
    page = watched.page
    await watched.row("Plan").click()
    await expect(page.locator("article")).to_have_count(2)
    await expect(page.locator("article.open")).to_have_count(1)
    await page.keyboard.press(";")
    await expect(page.locator("article.open .plain")).to_have_count(2)
    third = b"References: <1@x.test> <2@x.test>\r\n" + (PLAIN % b"Re: Plan")
    await world.deliver(third)
    await expect(page.locator("article.open")).to_have_count(3)
    await page.reload()
    await expect(page.locator("article")).to_have_count(3)
    assert watched.bad == []


async def test_the_page_says_when_it_is_cut_off_and_catches_up(browser, world) -> None:
    watched = await opened(browser, world)
    page = watched.page
    kept, world.feed._sinks = world.feed._sinks, {}
    await world.deliver(PLAIN % b"missed")
    for sinks in kept.values():
        assert len(sinks) == 1
    world.context.push_connections.end_all()
    await expect(page.get_by_text("Not connected.", exact=True)).to_be_visible()
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(watched.row("missed")).to_be_visible()
    await expect(page.locator(".banner")).to_have_count(0)
    assert watched.bad == []


async def test_the_page_shows_what_a_restore_has_put_back(browser, world) -> None:
    """The row has the seq at which the page showed it with other values."""
    row = await world.deliver(PLAIN % b"kept")
    backup = copy.deepcopy(world.store)
    watched, client = await opened(browser, world), await world.signed()
    star = watched.row("kept").locator(".star")
    await client.patch(f"/v1/messages/{row.message_id}", json={"flagged": True})
    await expect(star).to_have_attribute("aria-pressed", "true")
    await world.deliver(PLAIN % b"lost")
    await expect(watched.rows).to_have_count(2)
    again = ChangeMessages(
        command_id=new_id(), user_id="alice", domain_id="d", at_ms=5,
        message_ids=(row.message_id,), add_keywords=(SEEN,),
    )  # fmt: skip
    await Mailboxes(backup, MemoryLiveEvents(), offset=9).carry_out(again)
    vars(world.store).update(vars(backup))
    world.context.push_connections.end_all()
    await expect(watched.rows).to_have_count(1)
    await expect(star).to_have_attribute("aria-pressed", "false")
    await expect(watched.page).to_have_title("Inbox · Postriver")
    assert watched.bad == []


async def test_an_ended_session_asks_for_the_password_over_the_page(browser, world) -> None:
    await world.deliver(PLAIN % b"kept open")
    watched = await opened(browser, world)
    page = watched.page
    await watched.row("kept open").click()
    await watched.subject.evaluate("node => { node.isSame = true; }")
    client = await world.signed()
    await client.delete("/v1/sessions")
    await expect(page.get_by_text("Your session has ended.")).to_be_visible()
    await world.deliver(PLAIN % b"meanwhile")
    async with page.expect_response(re.compile("/v1/threads/")):
        await sign_in(page)
    await expect(watched.subject).to_have_text("kept open")
    await expect(watched.row("meanwhile")).to_be_visible()
    assert await watched.subject.evaluate("node => node.isSame")
    assert watched.bad == []


@pytest.mark.parametrize("width", [360, 1280])
async def test_there_is_one_button_to_write(browser, world, width) -> None:
    watched = await opened(browser, world, viewport={"width": width, "height": 740})
    await expect(watched.page.get_by_role("heading", name="Inbox")).to_be_visible()
    button = watched.page.get_by_role("button", name="Compose")  # those that are visible
    await expect(button).to_have_count(1)


async def test_on_a_phone_one_thing_is_shown_at_a_time(browser, world) -> None:
    await world.deliver(PLAIN % b"small")
    watched = await opened(browser, world, viewport={"width": 360, "height": 740})
    page = watched.page
    await watched.row("small").click()
    await expect(watched.subject).to_be_visible()
    await expect(watched.row("small")).to_be_hidden()
    assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    await page.go_back()
    await expect(watched.row("small")).to_be_visible()
    await expect(watched.subject).to_have_count(0)
    await page.get_by_role("button", name="Folders", exact=True).click()
    await page.get_by_role("link", name="Archive").click()
    await expect(page.get_by_role("heading", name="Archive")).to_be_visible()
    assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert watched.bad == []


async def test_language_theme_and_keys_of_a_korean_layout(browser, world) -> None:
    await world.deliver(PLAIN % b"one", at_ms=1000)
    await world.deliver(PLAIN % b"two", at_ms=2000)
    watched = await opened(browser, world)
    page = watched.page
    await page.get_by_role("button", name="Account and display").click()
    await page.get_by_role("menuitemcheckbox", name="한국어").click()
    await expect(page.get_by_role("heading", name="받은편지함")).to_be_visible()
    await page.get_by_role("button", name="계정과 화면").click()
    await page.get_by_role("menuitemcheckbox", name="어둡게").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    async with asyncio.timeout(40):  # the page is dark before the service has answered
        while (await world.store.settings("alice")).settings.theme != "dark":
            await asyncio.sleep(0.02)
    assert (await world.store.settings("alice")).settings.language == "ko"
    for key, code in (("ㅓ", "KeyJ"), ("ㅐ", "KeyO")):
        await page.evaluate(
            "([key, code]) => dispatchEvent(new KeyboardEvent('keydown', {key, code}))", [key, code]
        )
    await expect(watched.subject).to_have_text("one")
    await page.reload()
    await expect(page.get_by_role("heading", name="받은편지함")).to_be_visible()
    assert watched.bad == []
