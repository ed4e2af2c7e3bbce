"""The part `webmail` of `make bench`."""

import sys
from dataclasses import dataclass

from playwright.async_api import Browser, async_playwright

from benchmarks.end_to_end import Sender
from benchmarks.fixtures import Corpus, search_words
from benchmarks.stack import Stack
from benchmarks.webmail import control, loading, scrolling, using
from benchmarks.webmail.budgets import FULL, QUARTER
from benchmarks.webmail.files import sizes
from benchmarks.webmail.tab import signed_in, tab
from tests.support.browser import ARGUMENTS, CHROMIUM

Found = dict[str, dict[str, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How often each thing is done; `rates` are slow-downs of the CPU."""

    loads: int = 11
    opened: int = 20
    keys: int = 20
    searches: int = 20
    arrivals: int = 50
    flings: int = 3
    frames: int = 120
    jumps: int = 11
    stops: int = 100
    rates: tuple[int, ...] = (int(FULL), int(QUARTER))


QUICK = Work(loads=3, opened=6, keys=6, searches=6, arrivals=12, flings=1, jumps=4, stops=20)
# Only tests that the benchmark runs.
TINY = Work(
    loads=1, opened=2, keys=2, searches=2, arrivals=2, flings=1, frames=10, jumps=2, stops=2,
    rates=(1,),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """The mailbox that is displayed, and the sender of new mail to it."""

    address: str
    token: str
    sender: Sender
    corpus: Corpus


async def measure(stack: Stack, mailbox: Mailbox, work: Work) -> Found:
    """Return the figures by rate and name; names are those of BUDGETS."""
    found: Found = {str(rate): {} for rate in work.rates}
    full = found[FULL]
    full |= sizes(stack.config.tools / "web")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        full |= await loading.traffic(browser, stack, mailbox.token)
        for rate in work.rates:
            print(f"bench: webmail at 1/{rate} of the CPU", file=sys.stderr, flush=True)
            figures = found[str(rate)]
            figures |= await control.empty_page(
                browser, stack, mailbox.token, rate,
                loads=work.loads, keys=work.keys, frames=work.frames,
            )  # fmt: skip
            figures |= await loading.first_list(browser, stack, mailbox.token, rate, work.loads)
            figures |= await _use(browser, stack, mailbox, work, rate)
        full |= await _stay(browser, stack, mailbox, work)
        await browser.close()
    return found


async def _use(
    browser: Browser, stack: Stack, mailbox: Mailbox, work: Work, rate: int
) -> dict[str, float | None]:
    """Read, change, search and scroll on one page."""
    async with signed_in(browser, stack, mailbox.token) as context:
        page = await tab(context, rate)
        await page.open(f"{stack.config.http_url}/")
        figures: dict[str, float | None] = {**await using.opening(page, work.opened)}
        await page.open(f"{stack.config.http_url}/mail/inbox")
        figures |= await using.keys(page, work.keys)
        figures |= await scrolling.jumping(page, work.jumps)
        figures |= await scrolling.flinging(page, work.frames, work.flings)
        figures |= await using.searching(page, search_words(work.searches))
    return figures


async def _stay(browser: Browser, stack: Stack, mailbox: Mailbox, work: Work) -> dict[str, float]:
    """Wait for new mail on one page, and scroll through all of the list."""
    async with signed_in(browser, stack, mailbox.token) as context:
        page = await tab(context, 1)
        await page.open(f"{stack.config.http_url}/")
        await page.page.locator(".connection[data-state=live]").wait_for(state="attached")
        figures = await using.arriving(
            page, mailbox.sender, mailbox.corpus, mailbox.address, work.arrivals
        )
        figures |= await scrolling.memory_after_all(page, work.stops)
    return figures
