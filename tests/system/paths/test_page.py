"""The page in a real browser before the whole stack: a mail by SMTP appears without a reload."""

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support import mails
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.stack_world import Client, World

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(300)]


def test_a_mail_by_smtp_is_on_the_owners_screen(running: World, ann: Client) -> None:
    del ann  # made before the page is opened
    assert CHROMIUM, "install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.goto(f"{running.http}/")
        page.get_by_label("Address").fill("ann@postriver.test")
        page.get_by_label("Password", exact=True).fill("secret of ann@postriver.test")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=20_000)
        running.send(mails.plain("Straight to the screen"), "ann@postriver.test")
        row = page.locator(".rows .row", has_text="Straight to the screen")
        expect(row).to_be_visible(timeout=30_000)
        row.click()
        expect(page.locator("article .plain")).to_contain_text("The river runs to the sea.")
        browser.close()
