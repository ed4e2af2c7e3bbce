"""One world with all hostile mails, and a page that records what they do."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, Route

from api.config import ApiConfig
from tests.api.webmail.hostile.html_cases import CASES, case_html
from tests.api.webmail.hostile.mime_cases import html_mail
from tests.support.browser_reports import ReportingBrowser
from tests.support.edge_world import PASSWORDS, World

TOGETHER = 8  # mails of one conversation, all open at once


@dataclass
class Hostile:
    """A world whose alice has a mail of each case, TOGETHER in a conversation."""

    world: World
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> list[Sequence[str]]:
        names = list(CASES)
        return [names[first : first + TOGETHER] for first in range(0, len(names), TOGETHER)]

    async def fill(self) -> None:
        """Deliver all cases; what is opened stays unread, so that it is open in each test."""
        for name in PASSWORDS:
            client = await self.world.signed(name)
            await client.patch("/v1/me/settings", json={"mark_read_after_s": None})
        for number, names in enumerate(self.groups):
            for name in names:
                mail = html_mail(case_html(name), subject=f"group {number} of", root=str(number))
                row = await self.world.deliver(mail.as_bytes())
                self.ids[name] = row.message_id

    def view_url(self, name: str) -> str:
        return f"{self.world.url}/v1/messages/{self.ids[name]}/view"

    async def page_of_owner(self, browser: ReportingBrowser, faults: list[str]) -> Page:
        """A page without the webmail, for documents that are opened alone."""
        context = await browser.new_context(
            extra_http_headers={"Authorization": f"Bearer {await self.world.token()}"}
        )
        await watch(context, faults)
        page = await context.new_page()
        page.on("dialog", lambda dialog: faults.append(f"dialog {dialog.message}"))
        page.on("popup", lambda popup: faults.append(f"popup {popup.url}"))
        return page


async def watch(context: BrowserContext, faults: list[str]) -> None:
    """Record scripts that run, and requests that would leave the browser for another host."""

    async def refuse(route: Route) -> None:
        faults.append(f"left {route.request.url}")
        await route.abort()

    await context.expose_function("pwned", lambda what: faults.append(f"ran {what}"))
    await context.route(re.compile(r"^https?://(?!127\.0\.0\.1[:/])"), refuse)


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hostile(browser: ReportingBrowser) -> AsyncIterator[Hostile]:
    made = Hostile(World(config=ApiConfig(port=0)))
    await made.world.open()
    await made.fill()
    yield made
    await made.world.close()


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def _closed_contexts(browser: ReportingBrowser) -> AsyncIterator[Any]:
    yield
    for context in list(browser.contexts):
        await context.close()
