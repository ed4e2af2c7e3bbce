"""One page of the webmail in Chromium, at a given speed of the CPU."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, CDPSession, Page

from benchmarks.stack import Stack

PROBE = Path(__file__).with_name("probe.js").read_text(encoding="utf-8")
LIMIT_S = 60.0  # of any wait; a longer wait is an error
VIEWPORT = {"width": 1280, "height": 800}
ROW = ".rows .row:not(.waiting)"


class Tab:
    """A page with the probe of probe.js, and its DevTools session."""

    def __init__(self, page: Page, cdp: CDPSession) -> None:
        self.page = page
        self.cdp = cdp

    async def run(self, function: str, *values: Any) -> Any:
        """Call a function of the probe, or of the page."""
        name = function if "=>" in function else f"(values) => probe.{function}(...values)"
        async with asyncio.timeout(LIMIT_S):
            return await self.page.evaluate(name, list(values))

    async def first_list_ms(self, url: str) -> float:
        """Open `url`; return the time from the begin of the navigation to the painted rows.

        They may be those of the last screen, which a service worker puts into the page.
        """
        await self.page.goto(url, wait_until="commit")
        return float(await self.run("() => probe.firstList"))

    async def live_ms(self) -> float:
        """Return the same time for the rows of the page itself, which answers keys then."""
        return float(await self.run("() => probe.live"))

    async def open(self, url: str) -> None:
        """Open `url` and wait until the page answers keys."""
        await self.first_list_ms(url)
        await self.live_ms()

    async def input_ms(self, act: Awaitable[Any], condition: str, *values: Any) -> float:
        """Do `act`, a key or a click; return the time until `condition` was painted."""
        await self.run("afterInput", condition, *values)
        await act
        return float(await self.run("() => probe.result"))

    async def row_ids(self) -> list[str]:
        """The ids of the rows in view, from above."""
        found = await self.run("rowsInView")
        return list(found)


@asynccontextmanager
async def signed_in(browser: Browser, stack: Stack, token: str) -> AsyncIterator[BrowserContext]:
    """A fresh browser profile with the session of `token`."""
    context = await browser.new_context(viewport=VIEWPORT, locale="en-GB")
    url = stack.config.http_url
    cookie = {"name": f"postriver_{stack.config.ports.http}", "value": token, "url": url}
    await context.add_cookies([cookie])
    await context.add_init_script(PROBE)
    yield context
    await context.close()


async def tab(context: BrowserContext, rate: int) -> Tab:
    """A new page whose CPU is slower by the factor `rate`."""
    page = await context.new_page()
    cdp = await context.new_cdp_session(page)
    await cdp.send("Emulation.setCPUThrottlingRate", {"rate": rate})
    return Tab(page, cdp)
