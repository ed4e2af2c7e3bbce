"""The webmail in a browser: a page of a user, and a record of what must not happen in it."""

from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from tests.support.browser_reports import ReportingBrowser
from tests.support.edge_world import PASSWORDS, World

expect.set_options(timeout=20_000)  # a busy machine


class Watched:
    """A page, and what must not happen in it: `bad` stays empty. Reports: the browser's."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.bad: list[str] = []
        page.on("dialog", lambda dialog: self.bad.append(f"dialog {dialog.message}"))
        page.on("pageerror", lambda error: self.bad.append(f"error {error}"))
        page.on("popup", lambda popup: self.bad.append(f"popup {popup.url}"))

    @property
    def rows(self) -> Locator:
        return self.page.locator(".rows .row:not(.waiting)")

    def row(self, text: str) -> Locator:
        return self.page.locator(".rows .row", has_text=text)

    @property
    def subject(self) -> Locator:
        return self.page.locator(".conversation h2")

    async def toast(self, text: str) -> Locator:
        found = self.page.locator(".toast", has_text=text)
        await expect(found).to_be_visible()
        return found


async def opened(
    browser: Browser | ReportingBrowser,
    world: World,
    name: str = "alice",
    *,
    path: str = "/",
    **context: Any,
) -> Watched:
    """Sign in as `name` and wait for the push connection.

    Without a service worker, unless `service_workers` is "allow": requests that a worker makes
    cannot be routed by a test.
    """
    context = {"locale": "en-GB", "service_workers": "block", **context}
    page = await (await browser.new_context(**context)).new_page()
    watched = Watched(page)
    await page.expose_function("pwned", lambda what: watched.bad.append(f"ran {what}"))
    await page.goto(world.url + path)
    await sign_in(page, name)
    return watched


async def sign_in(page: Page, name: str = "alice") -> None:
    await page.locator("input[name=address]").fill(f"{name}@postriver.test")
    await page.locator("input[name=password]").fill(PASSWORDS[name])
    await page.keyboard.press("Enter")
    await expect(page.locator(".connection[data-state=live]")).to_be_attached()
