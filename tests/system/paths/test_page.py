"""The webmail in a real browser before the whole stack: mail appears without a reload."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import mails
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.browser_reports import REPORT, Reports
from tests.support.stack_world import Client, World

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(300)]
SOON_MS = 60_000  # through all checks on a busy machine


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def reports() -> Iterator[Reports]:
    made = Reports()
    yield made
    assert made.found == []


def opened(browser: Browser, running: World, reports: Reports, address: str) -> Page:
    context = browser.new_context()
    reports.watch(context)
    context.add_init_script(REPORT)
    page = context.new_page()
    page.goto(f"{running.http}/")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Password", exact=True).fill(f"secret of {address}")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=SOON_MS)
    return page


def test_a_mail_by_smtp_is_on_the_owners_screen(
    running: World, ann: Client, browser, reports
) -> None:
    del ann  # made before the page is opened
    page = opened(browser, running, reports, "ann@postriver.test")
    running.send(mails.plain("Straight to the screen"), "ann@postriver.test")
    row = page.locator(".rows .row", has_text="Straight to the screen")
    expect(row).to_be_visible(timeout=SOON_MS)
    row.click()
    expect(page.locator("article .plain")).to_contain_text("The river runs to the sea.")


def test_what_one_user_sends_is_on_the_screen_of_another(
    running: World, ann: Client, browser, reports
) -> None:
    ann.call("PATCH", "/v1/me/settings", {"undo_send_s": 0})
    running.add_user("cleo@postriver.test")
    sender, reader = (
        opened(browser, running, reports, f"{name}@postriver.test") for name in ("ann", "cleo")
    )
    sender.keyboard.press("c")
    sender.get_by_label("To", exact=True).fill("cleo@postriver.test")
    sender.keyboard.press("Enter")
    sender.get_by_label("Subject").fill("From page to page")
    sender.locator(".editor[data-ready]").click()
    sender.keyboard.type("Do you see this?")
    sender.keyboard.press("ControlOrMeta+Enter")
    row = reader.locator(".rows .row", has_text="From page to page")
    expect(row).to_be_visible(timeout=SOON_MS)
    row.click()
    frame = reader.frame_locator("iframe.mail")
    expect(frame.get_by_text("Do you see this?")).to_be_visible(timeout=SOON_MS)
    sender.get_by_role("link", name="Sent", exact=True).click()
    sender.locator(".rows .row", has_text="From page to page").click()
    expect(sender.locator(".delivery")).to_contain_text("delivered", timeout=SOON_MS)
