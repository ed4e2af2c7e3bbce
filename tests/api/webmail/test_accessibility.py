"""axe-core on the pages of the webmail: light and dark, wide and 360 px."""

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.async_api import Page, expect

from tests.support.edge_world import PLAIN
from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
RUN = """async () => {
  const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await axe.run(document, {runOnly: {type: "tag", values: rules}, iframes: false});
  return found.violations.map((one) =>
    `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).slice(0, 4).join(" | ")}`);
}"""
SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 360, "height": 740}}


async def faults(page: Page) -> list[str]:
    """What axe finds on the page as it is now."""
    await page.wait_for_timeout(250)  # transitions and entries have come to their end
    session = await page.context.new_cdp_session(page)
    await session.send("Runtime.evaluate", {"expression": AXE})
    await session.detach()
    found: Any = await page.evaluate(RUN)
    return list(found)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_pages_have_no_faults_that_axe_finds(browser, world, theme, size) -> None:
    await world.deliver(PLAIN % b"read", keywords=("$seen", "$flagged"), at_ms=1000)
    await world.deliver(PLAIN % b"unread", at_ms=2000)
    html = b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n"
    await world.deliver(html + PLAIN % b"formatted", at_ms=3000)
    watched = await opened(browser, world, viewport=SIZES[size], color_scheme=theme)
    page, found = watched.page, {}
    await expect(watched.rows).to_have_count(3)
    found["list"] = await faults(page)
    await page.keyboard.press("x")
    await expect(page.get_by_role("heading", name="1 selected")).to_be_visible()
    found["selection"] = await faults(page)
    await page.keyboard.press("Escape")
    await watched.row("formatted").click()
    await expect(page.locator("iframe.mail")).to_be_visible()
    found["conversation"] = await faults(page)
    await page.keyboard.press("?")
    await expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    found["dialog"] = await faults(page)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("heading", name="Keyboard")).to_have_count(0)
    await page.keyboard.press("c")
    await expect(page.locator(".editor[data-ready]")).to_be_visible()
    found["composer"] = await faults(page)
    await page.get_by_role("button", name="Save and close").click()
    await page.goto(f"{world.url}/settings")
    await expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    found["settings"] = await faults(page)
    await world.hold("alice", "x@partner.test")
    await page.goto(f"{world.url}/mail/scheduled")
    await expect(page.get_by_role("button", name="Do not send")).to_be_visible()
    found["scheduled"] = await faults(page)
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert watched.bad == []


async def test_the_sign_in_has_no_faults_that_axe_finds(browser, world) -> None:
    for theme in ("light", "dark"):
        page = await (await browser.new_context(color_scheme=theme)).new_page()
        await page.goto(world.url)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert await faults(page) == []


async def test_a_key_right_after_a_dialog_or_an_opened_mail_is_not_lost(browser, world) -> None:
    await world.deliver(PLAIN % b"river")
    watched = await opened(browser, world)
    page = watched.page
    await watched.row("river").click()
    await expect(watched.subject).to_have_text("river")
    await page.keyboard.press("/")
    await page.keyboard.type("rare")  # r and a would answer the mail
    await expect(page.get_by_label("Search", exact=True)).to_have_value("rare")
    await watched.subject.focus()
    await page.keyboard.press("?")
    await expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(watched.subject).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("c")
    await expect(page.locator(".editor[data-ready]")).to_be_visible()
    assert watched.bad == []


async def test_on_a_phone_a_mail_is_begun_from_the_list(browser, world) -> None:
    watched = await opened(browser, world, viewport=SIZES["narrow"])
    await watched.page.get_by_role("button", name="Compose").click()
    await expect(watched.page.locator(".editor[data-ready]")).to_be_visible()
    assert watched.bad == []
