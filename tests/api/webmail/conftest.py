"""One browser for all tests of the webmail; each test has a world and a context of its own.

No test may cause a report (tests/support/browser_reports.py), except those that it expects.
"""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import async_playwright

from api.config import ApiConfig
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.browser_reports import ReportingBrowser, Reports
from tests.support.edge_world import World


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[ReportingBrowser]:
    assert CHROMIUM, "install chromium"
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield ReportingBrowser(launched)
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def reports(browser: ReportingBrowser) -> AsyncIterator[Reports]:
    browser.reports.found.clear()
    yield browser.reports
    assert browser.reports.found == []


@pytest_asyncio.fixture(loop_scope="session")
async def world(browser: ReportingBrowser) -> AsyncIterator[World]:
    made = World(config=ApiConfig(port=0))
    await made.open()
    yield made
    for context in list(browser.contexts):
        await context.close()
    await made.close()
