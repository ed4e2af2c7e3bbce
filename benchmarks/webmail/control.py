"""The same measurements on a page that does next to nothing: what browser and machine take."""

import statistics
from urllib.parse import quote

from playwright.async_api import Browser

from benchmarks.stack import Stack
from benchmarks.webmail.scrolling import flinging
from benchmarks.webmail.tab import signed_in, tab
from benchmarks.webmail.using import p95

_MAIL = f"data:text/html,{quote('<p>A paragraph of a mail.</p>' * 100)}"
# One row that is higher than any window; a key changes its state and the colour of one word. A
# click shows a mail of its own, in the frame of `loadAhead`, if there is one.
_PAGE = f"""<!doctype html>
<div class="rows" style="height: 700px; overflow: auto">
<div class="row" data-id="one" aria-selected="false" style="height: 10000000px">
<b>word</b></div></div>
<script>
const row = document.querySelector(".row"), word = document.querySelector("b");
addEventListener("keydown", () => {{
  row.ariaSelected = String(row.ariaSelected !== "true");
  word.style.color = row.ariaSelected === "true" ? "red" : "";
}});
const store = document.createElement("div");
store.style = "height: 0; overflow: hidden; visibility: hidden";
document.body.append(store);
const frameWith = (then) => {{
  document.querySelector("iframe")?.remove();
  const frame = document.createElement("iframe");
  frame.onload = () => then(frame);
  frame.src = "{_MAIL}";
  return frame;
}};
const show = (frame) => {{ frame.style.height = "400px"; frame.className = "loaded"; }};
const loadAhead = () => new Promise((resolve) => store.append(frameWith(resolve)));
addEventListener("click", () => {{
  const ahead = store.firstChild;
  if (!ahead) return document.body.append(frameWith(show));
  document.body.moveBefore(ahead, null);
  show(ahead);
}});
</script>"""
EMPTY_PAGE = f"data:text/html,{quote(_PAGE)}"


async def empty_page(
    browser: Browser, stack: Stack, token: str, rate: int, *, loads: int, keys: int, frames: int
) -> dict[str, float]:
    """Milliseconds by name; the stack runs meanwhile, without work."""
    async with signed_in(browser, stack, token) as context:
        page = await tab(context, rate)
        opened_ms = [await page.first_list_ms(EMPTY_PAGE) for _ in range(loads)]
        pressed_ms = [
            await page.input_ms(page.page.keyboard.press("x"), "selected", "one", value)
            for _ in range(keys)
            for value in ("true", "false")
        ]
        clicked_ms = [await page.input_ms(page.page.locator("b").click(), "framed")
                      for _ in range(keys)]  # fmt: skip
        moved_ms = []
        for _ in range(keys):
            await page.run("() => loadAhead().then(() => undefined)")
            moved_ms.append(await page.input_ms(page.page.locator("b").click(), "framed"))
        flown = await flinging(page, frames, 1)
    return {
        "empty_load_ms": round(statistics.median(opened_ms), 1),
        "empty_key_ms": p95(pressed_ms),
        "empty_mail_ms": p95(clicked_ms),
        "empty_moved_ms": p95(moved_ms),
        "empty_frame_ms": flown["frame_ms"],
    }
