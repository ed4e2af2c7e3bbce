"""The list of 200,000 rows, and search, in the webmail."""

import asyncio
import json
import re

import pytest
from playwright.async_api import Route, expect

from tests.support.edge_world import PLAIN
from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
TOTAL = 200_000
FLING = """async (frames) => {
  const rows = document.querySelector(".rows"), canvas = rows.querySelector(".canvas");
  let made = 0;
  const observer = new MutationObserver((records) => {
    for (const record of records) made += record.addedNodes.length;
  });
  observer.observe(canvas, { childList: true });
  for (let n = 0; n < frames; n += 1) {
    rows.scrollTop += 4000;
    await new Promise(requestAnimationFrame);
  }
  observer.disconnect();
  return { made, seen: Math.ceil(rows.clientHeight / 76), at: Math.floor(rows.scrollTop / 76) };
}"""


def thread(position: int) -> dict:
    return {
        "id": f"thread-{position}", "folder_ids": ["inbox"], "subject": f"Mail number {position}",
        "preview": "The river runs.", "count": 1, "unread": position % 2, "flagged": False,
        "has_attachments": False, "has_draft": False, "keywords": [],
        "people": [{"name": "Ann", "address": "ann@x.test", "unread": False}],
        "received_at": "2026-01-02T03:04:05Z", "latest_id": f"message-{position}",
        "message_ids": [f"message-{position}"], "changed_seq": 1,
    }  # fmt: skip


async def large(route: Route) -> None:
    """Answer as the API does for an inbox of TOTAL conversations."""
    query = dict(part.split("=") for part in route.request.url.partition("?")[2].split("&"))
    start = int(query["position"])
    rows = [thread(at) for at in range(start, min(start + int(query["limit"]), TOTAL))]
    page = {"threads": rows, "position": start, "total": TOTAL, "next_cursor": None,
            "previous_cursor": None, "state": "1-1"}  # fmt: skip
    await route.fulfill(body=json.dumps(page), content_type="application/json")


async def test_two_hundred_thousand_rows_scroll_and_jump(browser, world) -> None:
    watched = await opened(browser, world, path="/mail/archive")
    page = watched.page
    await page.route("**/v1/folders/inbox/threads?*", large)
    await page.get_by_role("link", name="Inbox").click()
    await expect(watched.row("Mail number 0").first).to_be_visible()
    await expect(page.locator(".total")).to_have_text("200,000")
    await page.locator(".rows").evaluate("node => { node.scrollTop = 100_000 * 76; }")
    await expect(watched.row("Mail number 100000")).to_be_visible()
    flown = await page.evaluate(FLING, 30)
    assert flown["made"] < 15 * flown["seen"], "rows that are flown over share their nodes"
    for at in (0, flown["seen"] + 5):  # those after the view come by themselves
        await expect(watched.row(f"Mail number {flown['at'] + at}")).to_be_attached()
    await page.keyboard.press("End")
    await expect(watched.row("Mail number 199999")).to_be_focused()
    await page.keyboard.press("k")
    await expect(watched.row("Mail number 199998")).to_be_focused()
    await page.keyboard.press("Home")
    await expect(watched.row("Mail number 0").first).to_be_focused()
    assert await page.evaluate("() => document.querySelectorAll('*').length") < 2_500
    assert watched.bad == []


async def test_new_mail_leaves_a_scrolled_list_where_it_is(browser, world) -> None:
    for at in range(60):
        await world.deliver(PLAIN % b"number %d end" % at, at_ms=1000 + at)
    watched = await opened(browser, world)
    await watched.page.locator(".rows").evaluate("node => { node.scrollTop = 20 * 76; }")
    row = watched.row("number 35 end")
    await expect(row).to_be_visible()
    before = await row.bounding_box()
    await world.deliver(PLAIN % b"newest of all")
    await expect(watched.page.locator(".total")).to_have_text("61")
    assert await row.bounding_box() == before
    await expect(watched.rows.first).to_be_attached()
    assert watched.bad == []


async def test_a_search_has_a_row_for_each_conversation(browser, world) -> None:
    answer = b"Message-ID: <%d@x.test>\r\nIn-Reply-To: <1@x.test>\r\n" + PLAIN
    first = b"Message-ID: <1@x.test>\r\n" + PLAIN % b"otter"
    await world.deliver(first, at_ms=1000, keywords=("$seen",))
    await world.deliver(answer % (2, b"Re: otter"), at_ms=2000, keywords=("$seen",))
    other = (answer % (3, b"Re: otter")).replace(b"Hello", b"Nothing")
    await world.deliver(other, at_ms=3000, keywords=("$seen",))
    await world.deliver(PLAIN % b"alone", at_ms=500)
    watched = await opened(browser, world, path="/search?q=hello")
    page = watched.page
    await expect(watched.rows).to_have_count(2)
    await expect(page.locator(".total")).to_have_text("2 conversations")
    await expect(page.locator(".nothing-open")).to_contain_text("2 conversations")
    await expect(watched.row("otter").locator(".count")).to_have_text("3")
    await watched.row("otter").click()
    articles = page.locator("article")
    await expect(articles.nth(1)).to_have_class(re.compile(r"\bopen\b"))
    await expect(articles.nth(0)).not_to_have_class(re.compile(r"\bopen\b"))
    await expect(page).to_have_url(re.compile(r"/search/[\w-]+/[\w-]+\?q=hello$"))
    await page.keyboard.press("e")
    await watched.toast("Archived.")
    client = await world.signed()
    async with client.get("/v1/folders/archive/threads") as response:
        (archived,) = (await response.json())["threads"]
    assert archived["count"] == 3
    await client.patch("/v1/me/settings", json={"conversations": False})
    await page.goto(f"{world.url}/search?q=hello")
    await expect(watched.rows).to_have_count(3)
    await expect(page.locator(".total")).to_have_text("3 messages")
    assert watched.bad == []


async def test_search_shows_matches_and_opens_them(browser, world) -> None:
    await world.deliver(PLAIN % b"the <otter> report", at_ms=1000)
    await world.deliver(PLAIN % b"something else", at_ms=2000)
    watched = await opened(browser, world)
    page = watched.page
    await page.keyboard.press("/")
    await page.keyboard.type("otter")
    await page.keyboard.press("Enter")
    await expect(watched.rows).to_have_count(1)
    await expect(page.locator(".row mark").first).to_have_text("otter")
    await watched.rows.first.click()
    await expect(watched.subject).to_have_text("the <otter> report")
    await page.keyboard.press("/")
    await page.keyboard.type("after:yesterday:never")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.go_back()
    await page.go_back()
    await page.go_back()
    await expect(watched.rows).to_have_count(2)
    assert watched.bad == []


async def test_a_page_that_is_read_later_does_not_make_the_others_newer(browser, world) -> None:
    watched = await opened(browser, world)
    found = await watched.page.evaluate(
        """async () => {
          const { src } = document.querySelector("script[type=module]");
          const { $store_rows: { RowList } } = await import(src);
          const list = new RowList({ kind: "folder", folder: "inbox", conversations: true });
          const read = (position, state) => {
            list.put(position, { threads: [], total: 300, state });
            return ["1-4", "1-5", "1-9", "2-1"].filter((one) => list.isAt(one));
          };
          return [read(0, "1-5"), read(100, "1-9"), read(200, "1-4")];
        }"""
    )
    assert found == [["1-4", "1-5"], ["1-4", "1-5"], ["1-4"]]


PLACING = """async () => {
  const { src } = document.querySelector("script[type=module]");
  const { $store_rows: { RowList } } = await import(src);
  const row = (id, at, seq, count = 1) =>
    ({ id, received_at: `2026-01-0${at}T00:00:00.000Z`, changed_seq: seq, count });
  const whole = [[0, [7, 6, 5, 4, 3, 2].map((at) => row(`r${at}`, at, 5))]];
  const half = [[0, whole[0][1].slice(0, 3)]], rest = [[3, whole[0][1].slice(3)]];
  const listOf = (query, positions) => {
    const list = new RowList({ kind: "folder", folder: "inbox", conversations: true, ...query });
    const put = ([position, threads]) => list.put(position, { threads, total: 6, state: "1-5" });
    positions.forEach(put);
    return list;
  };
  const placed = (id, at, { seq = 6, count, query = {}, positions = whole } = {}) => {
    const list = listOf(query, positions);
    const isRight = list.place(id, at && row(id, at, seq, count), seq);
    return [isRight, list.total, list.rows.map((one) => one.thread_id).join(" ").trim()];
  };
  return {
    new: placed("new", 8), moved: placed("r4", 8), between: placed("new", 5),
    same: placed("r5", 5), last: placed("new", 1), gone: placed("r4", null),
    unknown: placed("other", null), "unknown of half": placed("other", null, { positions: half }),
    "new in half": placed("new", 8, { positions: half }),
    "grown in half": placed("new", 8, { positions: half, count: 2 }),
    "known in half": placed("r6", 8, { positions: half }),
    "below half": placed("new", 1, { positions: half }), gap: placed("new", 8, { positions: rest }),
    early: placed("new", 8, { seq: 4 }), "early, gone": placed("r4", null, { seq: 4 }),
    filter: placed("new", 8, { query: { filter: "unread" } }),
    label: placed("new", 8, { query: { kind: "label" } }),
    messages: placed("new", 8, { query: { conversations: false }, positions: [] }),
    unread: placed("new", 8, { positions: [] }),
  };
}"""


async def test_a_conversation_of_a_frame_is_placed_where_that_can_be_told(browser, world) -> None:
    watched = await opened(browser, world)
    found = await watched.page.evaluate(PLACING)
    before, half = "r7 r6 r5 r4 r3 r2", "r7 r6 r5"
    assert found == {
        "new": [True, 7, f"new {before}"],
        "moved": [True, 6, "r4 r7 r6 r5 r3 r2"],
        "between": [True, 7, "r7 r6 new r5 r4 r3 r2"],
        "same": [True, 6, before],
        "last": [True, 7, f"{before} new"],
        "gone": [True, 5, "r7 r6 r5 r3 r2"],
        "unknown": [True, 6, before],
        "unknown of half": [False, 6, half],
        "new in half": [True, 7, f"new {half}"],
        "grown in half": [False, 7, f"new {half}"],
        "known in half": [True, 6, "r6 r7 r5"],
        "below half": [False, 6, half],
        "gap": [False, 6, "r4 r3 r2"],
        "early": [False, 6, before],
        "early, gone": [False, 6, before],
        "filter": [False, 6, before],
        "label": [False, 6, before],
        "messages": [False, None, ""],
        "unread": [False, None, ""],
    }


async def test_new_mail_is_shown_before_the_list_is_read_again(browser, world) -> None:
    await world.deliver(PLAIN % b"first", at_ms=1000)
    watched = await opened(browser, world)
    await expect(watched.rows).to_have_count(1)
    read_again = asyncio.Event()

    async def later(route: Route) -> None:
        await read_again.wait()
        await route.continue_()

    await watched.page.route("**/v1/folders/inbox/threads?*", later)
    await world.deliver(PLAIN % b"second", at_ms=2000)
    await expect(watched.rows).to_have_count(2)
    await expect(watched.page.locator('.rows [aria-rowindex="1"]')).to_contain_text("second")
    async with watched.page.expect_response("**/v1/folders/inbox/threads?*"):
        read_again.set()
    await expect(watched.rows).to_have_count(2)
    assert watched.bad == []


async def test_a_list_that_is_read_again_stays_where_it_was_scrolled_meanwhile(
    browser, world
) -> None:
    for at in range(60):
        await world.deliver(PLAIN % b"mail %d" % at, keywords=("$seen",), at_ms=1000 + at)
    watched = await opened(browser, world)
    page, read_again = watched.page, asyncio.Event()
    await expect(watched.row("mail 59")).to_be_visible()

    async def later(route: Route) -> None:
        await read_again.wait()
        await route.continue_()

    await page.locator(".rows").evaluate("node => { node.scrollTop = 380; }")
    await page.wait_for_load_state("networkidle")
    await page.route("**/v1/folders/inbox/threads?*", later)
    async with page.expect_request("**/v1/folders/inbox/threads?*"):
        await page.keyboard.press("s")
    await page.locator(".rows").evaluate("node => { node.scrollTop = 2280; }")
    await expect(watched.row("mail 29")).to_be_visible()
    async with page.expect_response("**/v1/folders/inbox/threads?*") as read:
        read_again.set()
    await (await read.value).finished()
    await page.wait_for_timeout(200)
    assert await page.locator(".rows").evaluate("node => node.scrollTop") == 2280
    assert watched.bad == []
