"""The last screen: the service worker puts it into the page before its scripts run."""

import pytest
from playwright.async_api import Page, expect

from tests.api.webmail.test_offline import with_worker
from tests.support.edge_world import PLAIN

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
EARLY = """document.addEventListener("readystatechange", () => {  // before the scripts of the page
  if (document.readyState !== "interactive") return;
  const screen = document.getElementById("last-screen"), root = document.documentElement;
  globalThis.early = screen && {
    text: screen.innerText, rows: screen.querySelectorAll(".row").length, isInert: screen.inert,
    lang: root.lang, theme: root.dataset.theme, whole: document.querySelectorAll(".page").length,
    under: [...screen.querySelectorAll(".row")].map((row) => row.getBoundingClientRect().top),
  };
});"""
KEPT = """async (text) => {
  for (;;) {
    const found = await caches.match("/last-screen"), { screen = "" } = await found?.json() ?? {};
    if (text === null ? !found : screen.includes(text)) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}"""


async def early(page: Page, url: str) -> dict[str, object] | None:
    """Open `url`; return what was there before the scripts, once the page itself is there."""
    await page.goto(url)
    await expect(page.locator("#page > *")).not_to_have_count(0)
    await expect(page.locator("#last-screen")).to_have_count(0)
    found: dict[str, object] | None = await page.evaluate("() => globalThis.early")
    return found


async def test_the_first_screen_is_there_before_the_scripts(browser, world) -> None:
    hostile = b"<img src=x onerror=pwned(1)></div></body>"
    for at, subject in enumerate((hostile, b"second", b"third")):
        await world.deliver(PLAIN % subject, at_ms=1000 + at)
    watched = await with_worker(browser, world)
    page = watched.page
    await page.add_init_script(EARLY)
    await page.get_by_role("button", name="Account and display").click()
    await page.get_by_role("menuitemcheckbox", name="Dark").click()
    await page.evaluate(KEPT, "third")
    await watched.row("third").click()  # what is open or selected is left out
    await expect(page.locator(".plain")).to_have_text("Hello")
    await page.keyboard.press("u")
    await page.keyboard.press("x")
    await world.deliver(PLAIN % b"while one is selected", at_ms=2000)
    await expect(watched.rows).to_have_count(4)
    await page.keyboard.press("x")
    await page.evaluate(KEPT, "while one is selected")
    for path in ("/", "/mail/inbox"):
        seen = await early(page, f"{world.url}{path}")
        assert seen is not None
        text = str(seen.pop("text"))
        assert hostile.decode() in text
        assert "Hello" in text
        assert "Live" not in text
        assert text.index("while one is selected") < text.index("third") < text.index("second")
        tops = seen.pop("under")
        assert tops == sorted(set(tops))
        assert seen == {"rows": 4, "isInert": True, "lang": "en", "theme": "dark", "whole": 1}
        await expect(watched.rows).to_have_count(4)
        await watched.row("third").click()
        await expect(watched.subject).to_have_text("third")
    for path in ("/mail/sent", "/mail/inbox?unread=1", "/settings"):
        assert await early(page, f"{world.url}{path}") is None
    assert watched.bad == []


async def test_a_last_screen_goes_with_its_mail_and_with_the_session(browser, world) -> None:
    row = await world.deliver(PLAIN % b"secret")
    watched = await with_worker(browser, world)
    page, client = watched.page, await world.signed()
    await page.add_init_script(EARLY)
    await page.evaluate(KEPT, "secret")
    await page.goto(f"{world.url}/settings")  # nothing is kept while another page is shown
    await expect(page.locator(".connection[data-state=live]")).to_be_attached()
    await client.delete(f"/v1/messages/{row.message_id}")
    async with client.post("/v1/messages/delete", json={"ids": [row.message_id]}) as answer:
        assert answer.ok
    await page.evaluate(KEPT, None)
    await world.deliver(PLAIN % b"secret too")
    await page.goto(world.url)
    await page.evaluate(KEPT, "secret too")
    await page.goto("about:blank")
    await client.delete("/v1/sessions")
    await page.goto(world.url)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_text("secret too")).to_have_count(0)
    await page.evaluate(KEPT, None)
    assert await early(page, world.url) is None
    assert watched.bad == []


async def test_a_last_screen_of_another_version_is_not_shown(browser, world) -> None:
    await world.deliver(PLAIN % b"known")
    watched = await with_worker(browser, world)
    page = watched.page
    await page.add_init_script(EARLY)
    await page.evaluate(KEPT, "known")
    assert await early(page, world.url) is not None
    await page.evaluate("""async () => {
      const [name] = (await caches.keys()).filter((one) => one.startsWith("mail "));
      const cache = await caches.open(name);
      const kept = await (await cache.match("/last-screen")).json();
      const other = JSON.stringify({ ...kept, version: "0123456789ab" });
      await cache.put("/last-screen", new Response(other));
    }""")
    assert await early(page, world.url) is None
    await expect(watched.row("known")).to_be_visible()
    assert watched.bad == []
