"""The webmail without the service: reading copies, changes and mails that wait, several tabs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from api.config import ApiConfig
from mail.ids import new_id
from schemas.events.mailbox_commands import DeleteFolder
from schemas.ids import DomainId
from tests.api.webmail.test_compose import editor_of, sent_by_alice, undo_nothing, write
from tests.support.broker import free_ports
from tests.support.browser_reports import ReportingBrowser
from tests.support.edge_world import HTML, PLAIN, World
from tests.support.webmail import Watched, opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
KEPT = """async ({store, count}) => {
  const opened = (name) => new Promise((resolve) => {
    const asking = indexedDB.open(name);
    asking.onsuccess = () => resolve(asking.result);
  });
  for (;;) {
    const names = (await indexedDB.databases()).map((one) => one.name);
    for (const name of names.filter((one) => one.startsWith("postriver-mail "))) {
      const database = await opened(name);
      const found = await new Promise((resolve) => {
        const asking = database.transaction(store).objectStore(store).count();
        asking.onsuccess = () => resolve(asking.result);
      });
      database.close();
      if (found >= count) return;
    }
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}"""
VIEWS = """async (count) => {
  for (;;) {
    const name = (await caches.keys()).find((one) => one.startsWith("mail "));
    const urls = name ? (await (await caches.open(name)).keys()).map((one) => one.url) : [];
    if (urls.filter((url) => url.endsWith("/view")).length >= count) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}"""
EMPTY = """async () => {
  for (;;) {
    const names = (await indexedDB.databases()).map((one) => one.name);
    const cached = (await caches.keys()).filter((name) => name.startsWith("mail "));
    if (names.length + cached.length === 0) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def world(browser: ReportingBrowser) -> AsyncIterator[World]:
    """A world of a fixed port, so that it can stop and serve again."""
    made = World(config=ApiConfig(port=free_ports(1)[0]))
    await made.open()
    yield made
    for context in list(browser.contexts):
        await context.close()
    await made.close()


async def kept(page: Page, **counts: int) -> None:
    """Wait until the copies on the device are as many; each is written a second after a change."""
    for store, count in counts.items():
        await page.evaluate(KEPT, {"store": store, "count": count})


async def try_now(page: Page) -> None:
    """Let a page that waits for its next try make it; it may have come back by itself."""
    await page.evaluate("() => dispatchEvent(new Event('online'))")


async def select(watched: Watched, name: str) -> None:
    await watched.row(name).click(modifiers=["ControlOrMeta"])
    await expect(watched.page.get_by_role("heading", name="1 selected")).to_be_visible()


@asynccontextmanager
async def without_service(world: World, watched: Watched) -> AsyncIterator[None]:
    """End the service for a while; the page sees that it is back."""
    await world.stop()
    await expect(watched.page.get_by_text("Not connected.", exact=True)).to_be_visible()
    yield
    await world.serve()
    await try_now(watched.page)
    await expect(watched.page.get_by_text("Live", exact=True)).to_be_visible()


async def with_worker(browser, world: World) -> Watched:
    """A page with its service worker in charge."""
    watched = await opened(browser, world, service_workers="allow")
    await watched.page.evaluate("""async () => {
      await navigator.serviceWorker.ready;
      if (navigator.serviceWorker.controller) return;
      await new Promise((resolve) => {
        navigator.serviceWorker.addEventListener("controllerchange", resolve);
      });
    }""")
    return watched


async def test_mail_is_read_without_the_service_and_nothing_is_left_after_signing_out(
    browser, world
) -> None:
    for at, name in enumerate((b"never read", b"first", b"second", b"third")):
        await world.deliver(PLAIN % name, at_ms=1000 + at, keywords=("$seen",))
    await world.deliver(PLAIN % b"plain one", at_ms=1500)
    for at, name in enumerate((b"formatted one", b"read ahead")):
        await world.deliver(HTML + PLAIN % name, at_ms=2000 + at)
    watched = await with_worker(browser, world)
    page = watched.page
    await page.reload()  # from here on its requests go through the worker
    await watched.row("formatted one").click()
    await expect(page.frame_locator("iframe.mail").get_by_text("Hello")).to_be_visible()
    await watched.row("plain one").click()
    await expect(page.locator(".plain")).to_have_text("Hello")
    await kept(page, account=3, lists=1, threads=3)
    await page.evaluate(VIEWS, 2)
    async with without_service(world, watched):
        await page.goto(f"{world.url}/mail/inbox")
        await expect(watched.rows).to_have_count(7)
        await expect(page.get_by_text("You see what is kept on this device.")).to_be_visible()
        await watched.row("formatted one").click()
        await expect(page.frame_locator("iframe.mail").get_by_text("Hello")).to_be_visible()
        await watched.row("plain one").click()
        await expect(page.locator(".plain")).to_have_text("Hello")
        await watched.row("read ahead").click()
        await expect(page.frame_locator("iframe.mail").get_by_text("Hello")).to_be_visible()
        await watched.row("never read").click()
        await expect(page.get_by_text("The conversation could not be read")).to_be_visible()
        await world.deliver(PLAIN % b"meanwhile")
    await expect(watched.row("meanwhile")).to_be_visible()
    await expect(page.locator(".plain")).to_have_text("Hello")  # what could not be read is read
    await page.get_by_role("button", name="Account and display").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.evaluate(EMPTY)
    assert watched.bad == []


async def test_a_mail_opened_while_it_is_read_ahead_in_vain_is_read_later(browser, world) -> None:
    await world.deliver(PLAIN % b"hovered", keywords=("$seen",))
    watched = await opened(browser, world)
    page, opened_now = watched.page, asyncio.Event()

    async def fail(route: Route) -> None:
        await opened_now.wait()
        await route.abort()

    await page.route("**/v1/threads/*", fail)
    async with page.expect_request("**/v1/threads/*"):
        await watched.row("hovered").hover()
    await watched.row("hovered").click()
    await expect(page.get_by_text("Loading…")).to_be_visible()
    opened_now.set()
    await expect(page.get_by_text("The conversation could not be read")).to_be_visible()
    await page.unroute("**/v1/threads/*")
    world.context.push_connections.end_all()
    await expect(page.locator(".plain")).to_have_text("Hello")
    assert watched.bad == []


async def test_the_document_of_a_mail_that_was_read_ahead_is_not_asked_for_again(
    browser, world
) -> None:
    await world.deliver(HTML + PLAIN % b"hovered", keywords=("$seen",))
    watched = await with_worker(browser, world)
    page, asked = watched.page, list[str]()
    await page.reload()
    page.context.on("request", lambda one: one.service_worker and asked.append(one.url))
    await watched.row("hovered").hover()
    await page.evaluate(VIEWS, 1)
    assert [url.rpartition("/")[2] for url in asked] == ["view"]
    await watched.row("hovered").click()
    await expect(page.frame_locator("iframe.mail").get_by_text("Hello")).to_be_visible()
    assert len(asked) == 1
    assert watched.bad == []


async def test_the_list_is_there_before_the_service_answers(browser, world) -> None:
    await world.deliver(PLAIN % b"known", at_ms=1000)
    watched = await opened(browser, world)
    page, answered = watched.page, asyncio.Event()
    await kept(page, account=2, lists=1)

    async def late(route: Route) -> None:
        await answered.wait()
        await route.continue_()

    await page.route("**/v1/start", late)
    await world.deliver(PLAIN % b"newer")
    await page.goto(f"{world.url}/mail/inbox")
    await expect(watched.row("known")).to_be_visible()
    answered.set()
    await expect(watched.row("newer")).to_be_visible()
    await expect(page.locator(".connection[data-state=live]")).to_be_attached()
    assert watched.bad == []


async def test_changes_and_mails_wait_and_are_made_in_order(browser, world) -> None:
    made = {
        name: await world.deliver(PLAIN % name.encode(), at_ms=1000 + at)
        for at, name in enumerate(("archived", "starred", "undone"))
    }
    await undo_nothing(world)
    watched = await with_worker(browser, world)
    page = watched.page
    await expect(watched.rows).to_have_count(3)
    await kept(page, account=1, lists=1)
    async with without_service(world, watched):
        await select(watched, "undone")
        await page.keyboard.press("e")
        await watched.toast("Archived.")
        await page.keyboard.press("z")
        await watched.toast("Undone.")
        await expect(watched.rows).to_have_count(3)
        await select(watched, "archived")
        await page.keyboard.press("e")
        await watched.toast("Archived.")
        await select(watched, "starred")
        await page.keyboard.press("s")
        await watched.toast("Starred.")
        await page.keyboard.press("Escape")
        await write(watched, to="bob@postriver.test", subject="Later", text="By the river.")
        await page.keyboard.press("ControlOrMeta+Enter")
        await watched.toast("No connection.")
        await expect(page.get_by_text("5 changes wait.")).to_be_visible()
        await page.goto(f"{world.url}/mail/inbox")
        await expect(watched.rows).to_have_count(2)
        await expect(watched.row("starred").locator(".star")).to_have_attribute(
            "aria-pressed", "true"
        )
        await page.get_by_role("button", name="Show what waits").click()
        await expect(page.get_by_role("dialog").get_by_text("Later")).to_be_visible()
        await page.keyboard.press("Escape")
    await watched.toast("Sent.")
    rows = await world.store.messages("alice", [row.message_id for row in made.values()])
    places = {name: rows[row.message_id].shown_places for name, row in made.items()}
    assert {name: set(place) for name, place in places.items()} == {
        "archived": {"archive"}, "starred": {"inbox"}, "undone": {"inbox"},
    }  # fmt: skip
    assert "$flagged" in rows[made["starred"].message_id].keywords
    assert (await sent_by_alice(world))["Subject"] == "Later"
    await expect(page.locator(".composer")).to_have_count(0)
    assert watched.bad == []


async def test_what_the_service_refuses_later_is_said_and_a_mail_is_a_draft_again(
    browser, world
) -> None:
    await world.deliver(PLAIN % b"stays")
    client = await world.signed()
    async with client.post("/v1/folders", json={"name": "Rivers"}) as response:
        folder = (await response.json())["id"]
    watched = await with_worker(browser, world)
    page = watched.page
    await expect(watched.row("stays")).to_be_visible()
    await world.stop()
    await expect(page.get_by_text("Not connected.", exact=True)).to_be_visible()
    await select(watched, "stays")
    await page.keyboard.press("v")
    await page.get_by_placeholder("Name of a folder").fill("Rivers")
    await page.keyboard.press("Enter")
    await watched.toast("Moved to Rivers.")
    await write(watched, to="nobody@", subject="Bad", text="Text")
    await page.keyboard.press("ControlOrMeta+Enter")
    await watched.toast("No connection.")
    gone = DeleteFolder(
        command_id=new_id(), user_id="alice", domain_id=DomainId("d"), folder_id=folder, at_ms=5
    )
    await world.mailboxes.carry_out(gone)
    await world.serve()
    await try_now(page)
    await expect(page.locator(".toast.error", has_text="hanged")).to_be_visible()
    await expect(page.locator(".toast.error", has_text="Not sent:")).to_be_visible()
    await expect(watched.row("stays")).to_be_visible()
    await expect(page.get_by_label("Subject")).to_have_value("Bad")
    assert watched.bad == []


async def test_tabs_agree_about_what_waits_and_about_signing_out(browser, world) -> None:
    await world.deliver(PLAIN % b"shared")
    watched = await with_worker(browser, world)
    page, second = watched.page, await watched.page.context.new_page()
    await second.goto(world.url)
    await expect(second.locator(".row", has_text="shared")).to_be_visible()
    await expect(second.get_by_text("Live", exact=True)).to_be_visible()
    async with without_service(world, watched):
        await select(watched, "shared")
        await page.keyboard.press("s")
        await watched.toast("Starred.")
        await expect(second.get_by_text("1 change waits.")).to_be_visible()
    await expect(page.locator(".row .star")).to_have_attribute("aria-pressed", "true")
    await try_now(second)
    await expect(second.locator(".row .star")).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name="Account and display").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(second.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(second.get_by_text("shared")).to_have_count(0)
    assert watched.bad == []


async def test_a_new_version_is_offered_and_what_is_written_stays(browser, world) -> None:
    watched = await opened(browser, world)
    page = watched.page
    await page.context.route("**/v1/drafts*", lambda route: route.abort())
    await write(watched, to="bob@postriver.test", subject="Halfway", text="Half a sen")
    other = '<link href="/web/0123456789ab/main.js">'
    await page.route(f"{world.url}/", lambda route: route.fulfill(body=other))
    world.context.push_connections.end_all()
    banner = page.locator(".banner", has_text="A new version is there.")
    await expect(banner).to_be_visible()
    await page.unroute(f"{world.url}/")
    await banner.get_by_role("button", name="Reload").click()
    await expect(page.get_by_text("A draft that was not saved is open again.")).to_be_visible()
    await expect(await editor_of(page)).to_have_text("Half a sen")
    await expect(page.locator(".composer-head .hint")).to_have_text("Saved on this device")
    assert watched.bad == []


async def test_a_session_that_ended_elsewhere_takes_the_copies_with_it(browser, world) -> None:
    await world.deliver(PLAIN % b"secret")
    watched = await opened(browser, world)
    page = watched.page
    await expect(watched.row("secret")).to_be_visible()
    await kept(page, account=1, lists=1)
    await page.goto("about:blank")
    client = await world.signed()
    await client.delete("/v1/sessions")
    await page.goto(world.url)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_text("secret")).to_have_count(0)
    await page.evaluate(
        EMPTY.replace(
            "names.length", 'names.filter((name) => name.startsWith("postriver-mail")).length'
        )
    )
    assert watched.bad == []
