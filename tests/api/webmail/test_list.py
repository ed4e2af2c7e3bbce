"""The list of 200,000 rows, and search, in the webmail."""

import json
import re

import pytest
from playwright.async_api import Route, expect

from tests.support.edge_world import PLAIN
from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
TOTAL = 200_000


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
          const { RowList } = await import(new URL("../store/rows.js", src));
          const list = new RowList({ kind: "folder", folder: "inbox", conversations: true });
          const read = (position, state) => {
            list.put(position, { threads: [], total: 300, state });
            return ["1-4", "1-5", "1-9", "2-1"].filter((one) => list.isAt(one));
          };
          return [read(0, "1-5"), read(100, "1-9"), read(200, "1-4")];
        }"""
    )
    assert found == [["1-4", "1-5"], ["1-4", "1-5"], ["1-4"]]
