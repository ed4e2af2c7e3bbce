"""Take pictures of the main views of the webmail: light, dark, narrow, Korean.

`python -m tests.pictures [FOLDER] [--format webp|png]`; without FOLDER into docs/pictures, and
the favicons too.
"""

import argparse
import asyncio
import base64
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from api.config import ApiConfig
from tests.pictures.favicons import write_favicons
from tests.pictures.mailbox import fill
from tests.support import ROOT
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.edge_world import World
from tests.support.webmail import Watched, opened

FOLDER = ROOT / "docs" / "pictures"
QUALITIES = (80, 65, 50, 35)  # of WebP: the first whose picture is small enough
SIZE_MAX_BYTES = 60 * 1024
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 360, "height": 740}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "narrow": {"viewport": NARROW, "color_scheme": "light"},
    "korean": {"viewport": WIDE, "color_scheme": "light", "locale": "ko-KR"},
}
VIEWS = ("inbox", "conversation", "compose", "search", "settings")
SHOWN = {  # in the documents; the others are made when a folder is named
    "light-conversation", "light-compose", "light-search", "light-settings", "dark-conversation",
    "narrow-inbox", "narrow-conversation", "korean-conversation",
}  # fmt: skip


async def main(folder: Path, kind: str, chosen: set[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        if folder == FOLDER:
            await write_favicons(browser)
        for look, options in LOOKS.items():
            world = World(config=ApiConfig(port=0))  # for each: nothing was read or written
            await world.open()
            await fill(world)
            await _pictures(browser, world, Camera(folder, kind, look, chosen), options)
            await world.close()
        await browser.close()


class Camera:
    """Writes the chosen pictures of a look."""

    def __init__(self, folder: Path, kind: str, look: str, chosen: set[str]) -> None:
        self._folder = folder
        self._kind = kind
        self._look = look
        self._chosen = chosen

    async def take(self, page: Page, view: str) -> None:
        name = f"{self._look}-{view}"
        if name not in self._chosen:
            return
        await page.mouse.move(0, 0)
        await page.evaluate(
            "() => Promise.all(document.getAnimations().map((one) => one.finished))"
        )
        session = await page.context.new_cdp_session(page)
        for quality in QUALITIES if self._kind == "webp" else QUALITIES[:1]:
            shot = await session.send(
                "Page.captureScreenshot",
                {"format": self._kind, **({"quality": quality} if self._kind == "webp" else {})},
            )
            data = base64.b64decode(shot["data"])
            if len(data) <= SIZE_MAX_BYTES:
                break
        await session.detach()
        (self._folder / f"{name}.{self._kind}").write_bytes(data)


async def _pictures(
    browser: Browser, world: World, camera: Camera, options: dict[str, Any]
) -> None:
    watched = await opened(browser, world, **options)
    page = watched.page
    await watched.rows.first.wait_for()
    await camera.take(page, "inbox")
    await watched.row("Spring tour").click()
    await page.frame_locator("iframe.mail").get_by_text("Strasbourg").wait_for()
    await camera.take(page, "conversation")
    await _write(watched)
    await camera.take(page, "compose")
    await page.locator(".composer-foot > button:last-child").click()  # discards the draft
    await page.locator(".composer").wait_for(state="detached")
    await page.goto(f"{world.url}/search?q=river")
    await page.locator(".rows mark").first.wait_for()
    await camera.take(page, "search")
    await page.goto(f"{world.url}/settings")
    await page.locator(".setting").first.wait_for()
    await camera.take(page, "settings")
    await page.context.close()


async def _write(watched: Watched) -> None:
    """Begin an answer, which is discarded with the page."""
    page = watched.page
    await page.keyboard.press("r")
    editor = page.locator(".editor[data-ready]")
    await editor.wait_for()
    await editor.click()
    await page.keyboard.type("That is a fine plan. I look for rooms in Basel tonight.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--format", choices=["webp", "png"], default="webp")
    given = parser.parse_args()
    every = {f"{look}-{view}" for look in LOOKS for view in VIEWS}
    asyncio.run(main(given.folder or FOLDER, given.format, every if given.folder else SHOWN))
