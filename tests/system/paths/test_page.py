"""The webmail in a real browser before the whole stack: mail appears without a reload."""

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import mails
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.browser_reports import REPORT, Reports
from tests.support.far_domain import FarDomain
from tests.support.stack_world import Client, World

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(300)]
SOON_MS = 60_000  # through all checks on a busy machine
SEOUL = ZoneInfo("Asia/Seoul")
MOMENT = timedelta(seconds=30)  # a mail is held for a duration, which begins when it arrives


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


def write(page: Page, *, to: str, subject: str, text: str) -> None:
    page.keyboard.press("c")
    page.get_by_label("To", exact=True).fill(to)
    page.keyboard.press("Enter")
    page.get_by_label("Subject").fill(subject)
    page.locator(".editor[data-ready]").click()
    page.keyboard.type(text)


def choose_time(page: Page, button: str, wall: str) -> None:
    """Choose what a clock shows, in the dialog that asks for it."""
    page.get_by_label("Choose a time…").fill(wall)
    page.get_by_role("dialog", name="Send later").get_by_role("button", name=button).click()
    expect(page.locator(".toast", has_text="Will be sent")).to_be_visible(timeout=SOON_MS)


def held_until(owner: Client) -> datetime:
    """When the only mail that waits is sent."""
    (waiting,) = owner.call("GET", "/v1/submissions?status=held")["submissions"]
    return datetime.fromisoformat(waiting["held_until"])


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
    write(sender, to="cleo@postriver.test", subject="From page to page", text="Do you see this?")
    sender.keyboard.press("ControlOrMeta+Enter")
    row = reader.locator(".rows .row", has_text="From page to page")
    expect(row).to_be_visible(timeout=SOON_MS)
    row.click()
    frame = reader.frame_locator("iframe.mail")
    expect(frame.get_by_text("Do you see this?")).to_be_visible(timeout=SOON_MS)
    sender.get_by_role("link", name="Sent", exact=True).click()
    sender.locator(".rows .row", has_text="From page to page").click()
    expect(sender.locator(".delivery")).to_contain_text("delivered", timeout=SOON_MS)


def test_a_mail_waits_for_its_time_and_may_change_until_then(
    running: World, browser, reports
) -> None:
    owner = running.add_user("dana@postriver.test")
    owner.call("PATCH", "/v1/me/settings", {"zone": "Asia/Seoul"})  # the browser has another
    page = opened(browser, running, reports, "dana@postriver.test")
    days = [datetime.now(SEOUL).date() + timedelta(days=number) for number in (2, 3)]
    write(page, to="kim@far.example", subject="Anniversary", text="Ten years!")
    page.get_by_role("button", name="Send later").click()
    page.get_by_role("menuitem", name="Choose a time…").click()
    choose_time(page, "Send", f"{days[0]}T08:30")
    assert abs(held_until(owner) - datetime.combine(days[0], time(8, 30), SEOUL)) < MOMENT
    place = page.get_by_role("link", name="Scheduled")
    expect(place.locator(".badge")).to_have_text("1", timeout=SOON_MS)
    place.click()
    page.reload()
    row = page.get_by_role("listitem", name="Anniversary")
    expect(row).to_contain_text("kim@far.example", timeout=SOON_MS)
    expect(row.locator("time")).to_contain_text("8:30")
    row.get_by_role("button", name="Another time…").click()
    choose_time(page, "Save", f"{days[1]}T21:45")
    expect(row.locator("time")).to_contain_text(re.compile("9:45|21:45"), timeout=SOON_MS)
    assert abs(held_until(owner) - datetime.combine(days[1], time(21, 45), SEOUL)) < MOMENT
    row.get_by_role("button", name="Edit").click()
    expect(page.locator(".editor[data-ready]")).to_have_text("Ten years!", timeout=SOON_MS)
    expect(page.get_by_label("Subject")).to_have_value("Anniversary")
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Send later").click()
    page.get_by_role("menuitem", name="Tomorrow morning").click()
    row.get_by_role("button", name="Do not send").click(timeout=SOON_MS)
    expect(page.get_by_text("Mail that you send later waits here")).to_be_visible(timeout=SOON_MS)
    page.get_by_role("link", name="Drafts").click()
    draft = page.locator(".rows .row", has_text="Anniversary")
    expect(draft).to_have_count(1, timeout=SOON_MS)
    assert owner.call("GET", "/v1/submissions?status=held")["submissions"] == []


def test_a_sent_mail_says_what_became_of_each_recipient(
    running: World, far: FarDomain, browser, reports
) -> None:
    far.peer.refused["gone@far.example"] = "550 5.1.1 There is no such user here"
    owner = running.add_user("emma@postriver.test")
    owner.call("PATCH", "/v1/me/settings", {"undo_send_s": 0})
    page = opened(browser, running, reports, "emma@postriver.test")
    write(page, to="kim@far.example, gone@far.example", subject="Two of them", text="Hello")
    page.keyboard.press("ControlOrMeta+Enter")
    failure = page.get_by_role("alert").filter(has_text="Not delivered to gone@far.example")
    expect(failure).to_contain_text("There is no such user here", timeout=SOON_MS)
    page.get_by_role("link", name="Sent", exact=True).click()
    page.locator(".rows .row", has_text="Two of them").click(timeout=SOON_MS)
    recipients = page.get_by_role("region", name="Delivery").get_by_role("listitem")
    accepted, refused = (
        recipients.filter(has_text=f"{name}@far.example") for name in ("kim", "gone")
    )
    for _ in range(2):  # as it happens, and as it is read later
        expect(accepted).to_contain_text("accepted by the other server", timeout=SOON_MS)
        expect(refused).to_contain_text("failed", timeout=SOON_MS)
        expect(refused).to_contain_text("There is no such user here")
        page.reload()
    page.get_by_role("link", name="Inbox").click()
    notice = page.locator(".rows .row", has_text="Your mail could not be delivered")
    expect(notice).to_be_visible(timeout=SOON_MS)
