"""Take pictures of the main views of the webmail: light, dark, narrow, Korean."""

import argparse
import asyncio
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright

from api.config import ApiConfig
from tests.pictures.mailbox import fill
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.edge_world import World
from tests.support.webmail import opened

WIDE = {"width": 1360, "height": 850}
NARROW = {"width": 390, "height": 800}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "narrow": {"viewport": NARROW, "color_scheme": "light"},
    "korean": {"viewport": WIDE, "color_scheme": "light", "locale": "ko-KR"},
}


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    world = World(config=ApiConfig(port=0))
    await world.open()
    await fill(world)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for look, options in LOOKS.items():
            await _pictures(browser, world, folder, look, options)
        await browser.close()
    await world.close()


async def _pictures(
    browser: Browser, world: World, folder: Path, look: str, options: dict[str, Any]
) -> None:
    watched = await opened(browser, world, **options)
    page = watched.page

    async def take(view: str) -> None:
        await page.wait_for_timeout(500)
        await page.screenshot(path=folder / f"{look}-{view}.png")

    await watched.rows.first.wait_for()
    await take("inbox")
    await watched.row("Spring tour").click()
    await watched.subject.wait_for()
    await take("conversation")
    await page.keyboard.press("r")
    await page.locator(".editor[data-ready]").wait_for()
    await take("answer")
    await page.goto(f"{world.url}/search?q=river")
    await watched.rows.first.wait_for()
    await take("search")
    await page.goto(f"{world.url}/settings")
    await page.locator(".setting").first.wait_for()
    await take("settings")
    await page.context.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    asyncio.run(main(parser.parse_args().folder))
