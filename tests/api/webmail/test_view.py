"""The view document in a browser, opened alone: its styles apply, and its quotation is folded."""

import base64

import pytest
from playwright.async_api import expect

from api.config import ApiConfig
from api.http.image_proxy import RemoteImage
from tests.api.rest.test_images import Pictures
from tests.support.edge_world import World
from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
PIXEL = base64.b64decode(
    "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
)  # a GIF of one pixel
HEAD = (
    b"From: Mallory <m@evil.test>\r\nSubject: styled\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
)
STYLED = "<p id='s' style='color:rgb(1, 2, 3)'>styled</p><p>text</p><blockquote>old</blockquote>"


async def test_styles_apply_and_the_quotation_is_folded(browser, world: World) -> None:
    row = await world.deliver(HEAD + base64.b64encode(STYLED.encode()))
    context = await browser.new_context(
        extra_http_headers={"Authorization": f"Bearer {await world.token()}"}
    )
    page = await context.new_page()
    await page.goto(f"{world.url}/v1/messages/{row.message_id}/view")
    styled = page.locator("#mail-s")
    colour = await styled.evaluate("element => getComputedStyle(element).color")
    assert colour == "rgb(1, 2, 3)"
    assert not await page.locator("blockquote").is_visible()
    await page.locator("summary").last.click()
    assert await page.locator("blockquote").is_visible()


async def test_pictures_are_shown_when_asked_for_and_then_always(browser) -> None:
    """By the image proxy: the page itself asks no other server."""

    class Pixels(Pictures):
        async def fetch(self, url: str) -> RemoteImage:
            self.urls.append(url)
            return RemoteImage("image/gif", PIXEL)

    proxy = Pixels()
    world = World(config=ApiConfig(port=0), images=proxy)
    await world.open()
    html = b"<p>News</p><img id=p src='http://elsewhere.test/a.gif'>"
    await world.deliver(HEAD + base64.encodebytes(html))
    watched = await opened(browser, world)
    await watched.rows.first.click()
    picture = watched.page.frame_locator("iframe.mail").locator("#mail-p")
    await expect(picture).to_have_count(1)
    assert proxy.urls == []
    await watched.page.get_by_role("button", name="Show pictures", exact=True).click()
    await expect(picture).to_have_js_property("naturalWidth", 1)
    assert proxy.urls == ["http://elsewhere.test/a.gif"]
    again = await opened(browser, world)
    await again.rows.first.click()
    await again.page.get_by_role("button", name="Always show pictures from m@evil.test").click()
    frame = again.page.frame_locator("iframe.mail")
    await expect(frame.locator("#mail-p")).to_have_js_property("naturalWidth", 1)
    settings = (await world.store.settings("alice")).settings
    assert (settings.remote_images, settings.image_senders) == ("senders", ("m@evil.test",))
    await expect(again.page.get_by_text("is not loaded")).to_have_count(0)
    assert watched.bad + again.bad == []
    for context in list(browser.contexts):
        await context.close()
    await world.close()
