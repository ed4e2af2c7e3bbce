"""From input to paint: opening a mail, keys of the list, search; and from `250` to the row."""

import time
from collections.abc import Sequence

from benchmarks.end_to_end import Sender, percentiles
from benchmarks.fixtures import Corpus
from benchmarks.webmail.tab import ROW, Tab

CALIBRATIONS = 7
PREFETCHED_WAIT_MS = 5_000
HOVER_MS = 300  # from the answer on; a hand needs as long from a row to the click
FIRST_ROW = 100  # unread mails before it are read ahead
APART = 4  # rows; the two below the open mail are read ahead


def p95(values: Sequence[float]) -> float:
    ranked = sorted(values)
    return round(ranked[min(len(ranked) - 1, int(len(ranked) * 0.95))], 1)


async def opening(tab: Tab, rounds: int) -> dict[str, float]:
    """Open mails by a click; the pointer rests HOVER_MS on a mail that is prefetched."""
    took: dict[str, list[float]] = {"open_prefetched_ms": [], "open_ms": []}
    many = await _many_rows(tab, FIRST_ROW + APART * 2 * rounds)
    rows = iter(list(enumerate(many))[FIRST_ROW::APART])
    for _ in range(rounds):
        for name, values in took.items():
            position, id_ = next(rows)
            await tab.page.mouse.move(0, 0)  # no row may come under the pointer by scrolling
            await tab.run("reveal", position)
            await tab.run("() => probe.result")
            row = tab.page.locator(f'{ROW}[data-id="{id_}"] .main')
            if name == "open_prefetched_ms":
                path = f"**/v1/threads/{id_}?*"
                async with tab.page.expect_response(path, timeout=PREFETCHED_WAIT_MS):
                    await row.hover()
                await tab.page.wait_for_timeout(HOVER_MS)
            shown = tab.page.locator(".conversation article.open")
            former = await shown.get_attribute("data-id") if await shown.count() else ""
            values.append(await tab.input_ms(row.click(), "reading", id_, former))
    return {name: p95(values) for name, values in took.items()}


async def _many_rows(tab: Tab, count: int) -> list[str]:
    """The ids of `count` rows, from above."""
    ids: list[str] = []
    while len(ids) < count:
        ids += [id_ for id_ in await tab.row_ids() if id_ not in ids]
        await tab.page.locator(".rows").evaluate("node => { node.scrollTop += 380; }")
        await tab.run("whenever", "rows")
        await tab.run("() => probe.result")
    await tab.page.locator(".rows").evaluate("node => { node.scrollTop = 0; }")
    return ids[:count]


async def keys(tab: Tab, rounds: int) -> dict[str, float]:
    """Press keys on rows of the list; also the worst interaction that the browser counted (INP)."""
    took: dict[str, list[float]] = {"select_ms": [], "star_ms": [], "archive_ms": []}
    keyboard = tab.page.keyboard
    await keyboard.press("Home")
    await tab.run("() => { probe.interactions.length = 0; }")
    for _ in range(rounds):
        id_ = await tab.run("() => document.activeElement.dataset.id")
        for value in ("true", "false"):
            took["select_ms"].append(
                await tab.input_ms(keyboard.press("x"), "selected", id_, value)
            )
            took["star_ms"].append(await tab.input_ms(keyboard.press("s"), "starred", id_, value))
        took["archive_ms"].append(await tab.input_ms(keyboard.press("e"), "gone", id_))
    interactions = [*await tab.run("() => probe.interactions"), 0.0]
    return {**{name: p95(values) for name, values in took.items()}, "inp_ms": max(interactions)}


async def searching(tab: Tab, words: Sequence[str]) -> dict[str, float]:
    """Search for each word."""
    took = []
    field = tab.page.locator(".search input")
    for word in words:
        await field.fill(word)
        took.append(await tab.input_ms(field.press("Enter"), "found", word))
    return {"search_ms": p95(took)}


async def arriving(
    tab: Tab, sender: Sender, corpus: Corpus, owner: str, rounds: int
) -> dict[str, float]:
    """Send mails one at a time to the owner of the page."""
    took_ms = []
    for number in range(rounds):
        offset_ms = await _clock_offset_ms(tab)
        first = await tab.run(
            """() => document.querySelector('.rows [aria-rowindex="1"]').dataset.id"""
        )
        await tab.run("whenever", "first", first)
        before = set(sender.accepted_s)
        await sender.send_one(corpus.mail(owner, number))
        (mail_id,) = set(sender.accepted_s) - before
        shown_ms = float(await tab.run("() => probe.result")) + offset_ms
        took_ms.append(shown_ms - sender.accepted_s[mail_id] * 1000)
    found = percentiles(took_ms)
    return {"screen_p50_ms": found["p50_ms"], "screen_p99_ms": found["p99_ms"]}


async def _clock_offset_ms(tab: Tab) -> float:
    """Our clock (perf_counter) minus that of the page, by the fastest of some questions."""
    found = []
    for _ in range(CALIBRATIONS):
        asked_s = time.perf_counter()
        page_ms = await tab.run("() => performance.now()")
        answered_s = time.perf_counter()
        found.append((answered_s - asked_s, (asked_s + answered_s) * 500 - page_ms))
    return min(found)[1]
