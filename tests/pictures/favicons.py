"""The favicons of the webmail, from its mark: a browser decodes a PNG in less time than an SVG."""

from playwright.async_api import Browser

from api.webmail.file_tree import ASSETS, MARK

SIZE = {"width": 32, "height": 32}
DOT = '<circle cx="26" cy="7" r="6" fill="#f0b860" stroke="#fff" stroke-width="1.5"/>'
STYLE = "<style>body { margin: 0 } svg { display: block; width: 32px; height: 32px }</style>"


async def write_favicons(browser: Browser) -> None:
    """Write `favicon.png` and, with a dot, `favicon-unread.png`."""
    mark = (ASSETS / MARK).read_text(encoding="utf-8")
    page = await browser.new_page(viewport=SIZE)
    for name, svg in (("", mark), ("-unread", mark.replace("</svg>", f"{DOT}</svg>"))):
        await page.set_content(STYLE + svg)
        await page.screenshot(path=ASSETS / f"favicon{name}.png", omit_background=True)
    await page.close()
