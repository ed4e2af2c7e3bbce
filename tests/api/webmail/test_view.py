"""The view document in a browser, opened alone: styles apply, nothing runs or is loaded."""

import base64

import pytest

from tests.api.webmail.test_hostile_mail import HOSTILE, MAIL
from tests.support.edge_world import World

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

STYLED = "<p id='s' style='color:rgb(1, 2, 3)'>styled</p><p>text</p><blockquote>old</blockquote>"


async def test_a_hostile_mail_opened_alone_does_nothing(browser, world: World) -> None:
    row = await world.deliver(MAIL + base64.b64encode((HOSTILE + STYLED).encode()))
    url = f"{world.url}/v1/messages/{row.message_id}/view"
    requests: list[str] = []
    messages: list[str] = []
    context = await browser.new_context(
        extra_http_headers={"Authorization": f"Bearer {await world.token()}"}
    )
    page = await context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    response = await page.goto(url)
    assert response
    assert response.status == 200
    styled = page.locator("#mail-s")
    colour = await styled.evaluate("element => getComputedStyle(element).color")
    assert colour == "rgb(1, 2, 3)"
    assert not await page.locator("blockquote").is_visible()
    await page.locator("summary").last.click()
    assert await page.locator("blockquote").is_visible()
    assert set(requests) <= {url, f"{world.url}/favicon.ico"}
    assert not [text for text in messages if "Content Security Policy" in text]
