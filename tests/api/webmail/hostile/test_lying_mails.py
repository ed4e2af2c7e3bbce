"""Mails that lie about what they are: types of files, names of people and files, texts of links."""

import re
from contextlib import suppress

import pytest
from playwright.async_api import Error, expect

from mail.mime.passive_types import PASSIVE_TYPES
from tests.api.webmail.hostile.conftest import Hostile
from tests.api.webmail.hostile.html_cases import EVIL_HOST
from tests.api.webmail.hostile.mime_cases import (
    FILES,
    MISLEADING_NAMES,
    html_mail,
    mail_of_lying_files,
    mail_with_misleading_file,
)
from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
SETTLE_MS = 300  # what runs after the load event has run


async def test_a_file_is_never_a_document_of_ours(
    browser, hostile: Hostile, faults, reports
) -> None:
    row = await hostile.world.deliver(mail_of_lying_files())
    hostile.ids["files"] = row.message_id
    page = await hostile.page_of_owner(browser, faults)
    await page.goto(hostile.view_url("files"))
    await expect(page.locator("img")).to_have_count(len(FILES))
    allowed = PASSIVE_TYPES | {"application/octet-stream"}
    for number in range(1, len(FILES) + 1):
        for query in ("?inline=true", ""):
            url = hostile.view_url("files").replace("/view", f"/attachments/{number}{query}")
            headers = (await page.context.request.get(url)).headers
            assert headers["content-type"].partition(";")[0] in allowed, url
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"].endswith("; sandbox")
            with suppress(Error):  # a download ends the navigation
                await page.goto(url)
    await page.wait_for_timeout(SETTLE_MS)
    assert faults == []
    reports.expect("inline style")  # of the browser's own viewers


async def test_a_file_in_the_preview_runs_nothing(
    browser, hostile: Hostile, faults, reports
) -> None:
    await hostile.world.deliver(mail_of_lying_files("attachment"), name="bob")
    watched = await opened(browser, hostile.world, "bob")
    page = watched.page
    page.on("request", lambda asked: "evil" in asked.url and faults.append(asked.url))
    await watched.row("lying files").click()
    for name in ("picture.png", "page.txt", "page.pdf"):
        await page.locator("button.file", has_text=name).click()
        await expect(page.get_by_role("heading", name=name)).to_be_visible()
        await page.wait_for_timeout(SETTLE_MS)  # a viewer takes the focus when it is loaded
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("heading", name=name)).to_have_count(0)
    assert [*watched.bad, *faults] == []
    reports.expect("inline style")  # of the browser's own viewers


async def test_names_do_not_hide_an_address_or_a_type(browser, hostile: Hostile) -> None:
    world = hostile.world
    for number, name in enumerate(MISLEADING_NAMES):
        mail = html_mail("<p>Pay</p>", subject=f"name {number}\u202e x", sender=name)
        await world.deliver(mail.as_bytes(), name="bob")
    await world.deliver(mail_with_misleading_file(), name="bob")
    watched = await opened(browser, world, "bob")
    page = watched.page
    rows = await watched.rows.all()
    heights = [box["height"] for row in rows if (box := await row.bounding_box())]
    assert len(set(heights)) == 1
    for number in range(len(MISLEADING_NAMES)):
        await watched.row(f"name {number}").click()
        await expect(page.locator(".from .address")).to_have_text(f"mallory@{EVIL_HOST}")
        head = await page.locator(".message-head").bounding_box()
        assert head
        assert head["height"] < 80
        assert not DIRECTION.search(await page.locator("body").inner_text())
    await watched.row("misleading file").click()
    await expect(page.locator(".filename")).to_have_text("invoicefdp.exe")
    assert watched.bad == []


@pytest.mark.parametrize(
    ("href", "text", "host"),
    [
        (f"http://{EVIL_HOST}/", "https://bank.example/login", EVIL_HOST),
        ("http://b\u0430nk.example/", "bank.example", "xn--bnk-6cd.example"),
        (f"http://bank.example@{EVIL_HOST}/", "www.bank.example", EVIL_HOST),
    ],
)
async def test_a_link_that_names_another_host_asks(
    browser, hostile: Hostile, href: str, text: str, host: str
) -> None:
    mail = html_mail(f'<p><a href="{href}">{text}</a></p>', subject=f"link to {text}")
    await hostile.world.deliver(mail.as_bytes(), name="bob")
    watched = await opened(browser, hostile.world, "bob")
    page, asked = watched.page, []

    async def refuse(dialog) -> None:
        asked.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", refuse)
    await watched.row(f"link to {text}").first.click()
    await page.frame_locator("iframe.mail").get_by_text(text).click()
    assert len(asked) == 1
    assert host in asked[0]
    assert [what for what in watched.bad if not what.startswith("dialog")] == []
