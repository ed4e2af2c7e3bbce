"""Changes of mail in the webmail: at once on screen, undone by a key, many at a time."""

import pytest
from playwright.async_api import expect

from tests.support.edge_world import PLAIN
from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_message_is_moved_and_brought_back_by_keyboard(browser, world) -> None:
    await world.deliver(PLAIN % b"otter")
    watched = await opened(browser, world)
    page = watched.page
    await expect(watched.row("otter")).to_be_visible()
    for key, said in (("e", "Archived."), ("#", "Moved to Trash."), ("!", "Moved to Junk.")):
        await page.keyboard.press(key)
        await watched.toast(said)
        await expect(watched.rows).to_have_count(0)
        await page.keyboard.press("z")
        await watched.toast("Undone.")
        await expect(watched.rows).to_have_count(1)
    await watched.row("otter").click()
    await page.keyboard.press("v")
    await page.get_by_placeholder("Name of a folder").fill("arch")
    await page.keyboard.press("Enter")
    toast = await watched.toast("Moved to Archive.")
    await expect(watched.subject).to_have_count(0)
    await toast.get_by_role("button", name="Undo").click()
    await expect(watched.rows).to_have_count(1)
    assert watched.bad == []


async def test_a_change_reads_the_list_once_and_draws_its_own_row_alone(browser, world) -> None:
    for at in range(4):
        await world.deliver(PLAIN % b"mail %d" % at, keywords=("$seen",), at_ms=1000 + at)
    watched = await opened(browser, world)
    page, lists = watched.page, []
    await expect(watched.rows).to_have_count(4)
    await page.wait_for_load_state("networkidle")
    await page.evaluate(
        "document.querySelectorAll('.row, .row .main').forEach((node) => { node.isKept = true; })"
    )
    page.on("request", lambda request: "/threads?" in request.url and lists.append(request.url))
    async with page.expect_response("**/threads?*") as read:
        await page.keyboard.press("s")
    await (await read.value).finished()
    await expect(watched.row("mail 3").get_by_role("button", name="Remove star")).to_be_attached()
    kept = "[...document.querySelectorAll('.row .main')].filter((main) => main.isKept).length"
    assert await page.evaluate(kept) == 3
    assert await page.evaluate("[...document.querySelectorAll('.row')].every((row) => row.isKept)")
    async with page.expect_response("**/threads?*") as read:
        await world.deliver(PLAIN % b"mail 4", at_ms=2000)
    await (await read.value).finished()
    await expect(watched.rows).to_have_count(5)
    assert await page.evaluate(kept) == 3
    assert len(lists) == 2, "one for the star, one for the mail"
    assert watched.bad == []


async def test_many_are_selected_and_changed_at_once(browser, world) -> None:
    made = [await world.deliver(PLAIN % b"mail %d" % at, at_ms=1000 + at) for at in range(6)]
    watched = await opened(browser, world)
    page = watched.page
    await watched.row("mail 5").click(modifiers=["ControlOrMeta"])
    await watched.row("mail 3").click(modifiers=["Shift"])
    await expect(page.get_by_role("heading", name="3 selected")).to_be_visible()
    await page.keyboard.press("Shift+I")
    await watched.toast("3 marked as read.")
    await expect(page.locator(".row.unread")).to_have_count(3)
    await page.keyboard.press("s")
    await watched.toast("3 starred.")
    await page.keyboard.press("l")
    await page.get_by_placeholder("New label").fill("River")
    await page.keyboard.press("Enter")
    await watched.toast("3 labelled River.")
    await expect(page.locator(".row .chip", has_text="River")).to_have_count(3)
    await page.keyboard.press("e")
    await watched.toast("3 archived.")
    await expect(watched.rows).to_have_count(3)
    rows = await world.store.messages("alice", [row.message_id for row in made])
    archived = [row for row in rows.values() if "archive" in row.shown_places]
    assert [set(row.keywords) for row in archived] == 3 * [{"$flagged", "$seen", "river"}]
    await page.get_by_role("link", name="River").click()
    await expect(watched.rows).to_have_count(3)
    for _ in range(4):
        await page.keyboard.press("z")
    await expect(watched.rows).to_have_count(0)
    await page.keyboard.press("g")
    await page.keyboard.press("i")
    await expect(page.locator(".row.unread")).to_have_count(6)
    assert watched.bad == []


async def test_a_refused_change_is_taken_back_and_says_why(browser, world) -> None:
    await world.deliver(PLAIN % b"stays")
    watched = await opened(browser, world)
    await expect(watched.row("stays")).to_be_visible()
    world.mailboxes.down = True
    await watched.page.keyboard.press("e")
    await expect(watched.page.get_by_role("alert")).to_contain_text("Not changed:")
    await expect(watched.row("stays")).to_be_visible()
    world.mailboxes.down = False


async def test_trash_is_emptied_after_a_question(browser, world) -> None:
    for name in (b"first", b"second"):
        await world.deliver(PLAIN % name, folder_id="trash")
    watched = await opened(browser, world, path="/mail/trash")
    page = watched.page
    await expect(watched.rows).to_have_count(2)
    await page.keyboard.press("#")
    await expect(
        page.get_by_role("heading", name="Delete this conversation for good?")
    ).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(watched.rows).to_have_count(2)
    await page.keyboard.press("#")
    await page.get_by_role("button", name="Delete for good").last.click()
    await expect(watched.rows).to_have_count(1)
    await page.get_by_role("button", name="Actions for this list").click()
    await page.get_by_role("menuitem", name="Empty trash").click()
    await page.get_by_role("button", name="Delete everything").click()
    await expect(page.get_by_text("Deleted mail stays here")).to_be_visible()
    assert watched.bad == []


async def test_folders_are_made_renamed_and_deleted(browser, world) -> None:
    watched = await opened(browser, world)
    page = watched.page
    await page.get_by_role("button", name="New folder").click()
    await page.get_by_role("textbox", name="Name").fill("Rivers")
    await page.keyboard.press("Enter")
    await page.get_by_role("link", name="Rivers").click()
    await expect(page.get_by_text("This folder is empty.")).to_be_visible()
    await page.get_by_role("button", name="Actions for Rivers").click()
    await page.get_by_role("menuitem", name="Rename folder").click()
    await page.get_by_role("textbox", name="Name").fill("Lakes")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Lakes")).to_be_visible()
    await page.get_by_role("button", name="Actions for Lakes").click()
    await page.get_by_role("menuitem", name="Delete folder").click()
    await page.get_by_role("button", name="Delete folder").last.click()
    await expect(page.get_by_role("link", name="Lakes")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    assert watched.bad == []


async def test_everything_in_a_list_is_changed_by_the_server(browser, world) -> None:
    for at in range(130):
        await world.deliver(PLAIN % b"mail %d" % at, at_ms=1000 + at)
    watched = await opened(browser, world)
    page = watched.page
    await expect(page.locator(".total")).to_have_text("130")
    await page.keyboard.press("*")
    await page.keyboard.press("a")
    await page.get_by_role("button", name="Select everything in this list").click()
    await expect(page.get_by_role("heading", name="All selected")).to_be_visible()
    await page.keyboard.press("Shift+I")
    await page.get_by_role("button", name="Change everything").click()
    await watched.toast("130 messages changed.")
    await expect(page.locator(".row.unread")).to_have_count(0)
    await expect(page).to_have_title("Inbox · Postriver")
    assert watched.bad == []
