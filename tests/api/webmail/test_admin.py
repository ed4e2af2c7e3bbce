"""Pages for operators: what they show, acts with a recent sign-in, and who does not see them."""

import asyncio

import pytest
from msgspec import structs
from playwright.async_api import Response, Route, expect

from mail.clock import now_ms
from mail.sending.own_limits import OwnLimits
from operations.stack_status import (
    HeldReport,
    LagSamples,
    ProcessReport,
    RoleReport,
    StackReport,
)
from tests.api.admin.test_admission import ID, age_all
from tests.api.webmail.test_accessibility import faults
from tests.contracts.relay_queue import relay
from tests.support.edge_world import PASSWORDS, World
from tests.support.waiting import until
from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def filled(world: World) -> None:
    """An operator, a stack with a held event, a mail in quarantine and one in the queue."""
    await world.directory.set_role("alice", "operator")
    now = now_ms()
    held = HeldReport(stage="scan", topic="mail.validated", engine="clamd", since_ms=now)
    world.desk.stack.now = StackReport(
        state="ready",
        processes=[ProcessReport(name="scan", state="running")],
        engines=[ProcessReport(name="clamd", state="running", detail="two signatures")],
        roles=[RoleReport(name="scan", lag=3, held=[held])],
        warnings=["<b>TEST SET ONLY</b>"],
    )
    samples = [(now - 60_000, 7), (now - 30_000, 3), (now, 3)]
    world.desk.stack.samples = [LagSamples(name="scan", samples=samples)]
    await world.desk.keep(ID, "bob", reason="infected")
    await world.desk.queue.put(relay("m1", "u1", "u2"), partition=1, at_ms=1)


async def test_an_operator_looks_and_acts(browser, world) -> None:
    await filled(world)
    mail = await world.deliver(name="bob")
    watched = await opened(browser, world)
    page = watched.page
    await page.get_by_role("link", name="Administration").click()
    await expect(page.get_by_text("Everything runs")).to_be_visible()
    await expect(page.get_by_text("<b>TEST SET ONLY</b>")).to_be_visible()
    await expect(page.get_by_role("img", name="At most 7 events waited.")).to_be_visible()
    world.desk.stack.now = structs.replace(world.desk.stack.now, warnings=["a new warning"])
    await expect(page.get_by_text("a new warning")).to_be_visible()  # sooner than it asks again
    await page.get_by_role("link", name="Queue").click()
    await page.get_by_role("row", name="example.net").first.get_by_text("Hold").click()
    await watched.toast("2 recipients changed.")
    await page.get_by_role("link", name="Quarantine").click()
    await page.get_by_role("button", name="Deliver").click()
    for title in ("Deliver infected mail?", "Deliver it in spite of the virus?"):
        dialog = page.get_by_role("dialog", name=title)
        await dialog.get_by_role("button", name="Deliver").click()
    await watched.toast("Delivered.")
    await expect(page.get_by_text("Delivered by alice@postriver.test")).to_be_visible()
    await page.get_by_role("link", name="Trace", exact=True).first.click()
    await page.get_by_label("Mail id, Message-ID or address").fill(mail.mail_id)
    await page.get_by_role("button", name="Find").click()
    await expect(page.get_by_role("heading", name="bob@postriver.test")).to_be_visible()
    await expect(page.locator(".hops li")).to_contain_text("scan")
    await page.get_by_role("link", name="Users").click()
    await page.get_by_label("Address").fill("carol@postriver.test")
    await page.get_by_role("button", name="Add user").click()
    await expect(page.locator(".made code")).to_be_visible()
    await page.get_by_role("link", name="Acts").click()
    await expect(page.locator(".admin tbody code")).to_have_text(
        ["user.add", "quarantine.release", "queue.hold"]
    )
    assert watched.bad == []


def is_change(answer: Response) -> bool:
    return answer.request.method == "PATCH" and answer.url.endswith("/v1/admin/users/bob")


async def test_what_is_typed_while_a_form_is_read_again_stays(browser, world) -> None:
    await filled(world)
    watched = await opened(browser, world, path="/admin/users")
    page, changed, read_again = watched.page, asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        if route.request.method == "GET" and changed.is_set():
            await read_again.wait()
        await route.continue_()

    await page.route("**/v1/admin/users/bob", late)
    await page.get_by_role("row", name="bob@").get_by_role("button", name="Room and").click()
    form = page.get_by_role("form", name="bob@postriver.test")
    hour, room = form.get_by_label("Mails sent an hour"), form.get_by_label("Room in GiB")
    await expect(form).to_contain_text("0 mails")
    await hour.fill("5")
    changed.set()
    async with page.expect_response(is_change):
        await form.get_by_role("button", name="Save").click()
    await hour.fill("9")
    await room.fill("2")
    await world.deliver(name="bob")
    read_again.set()
    await expect(form).to_contain_text("1 mail")
    await expect(hour).to_have_value("9")
    await expect(room).to_have_value("2")
    assert watched.bad == []


async def test_limits_and_keys_of_a_domain_are_changed(browser, world) -> None:
    await filled(world)
    watched = await opened(browser, world, path="/admin/domains")
    page, row = watched.page, watched.page.get_by_role("row", name="postriver.test")
    await row.get_by_role("button", name="Keys").click()
    await expect(page.get_by_text("mail of this domain is not signed")).to_be_visible()
    await page.get_by_role("button", name="Make new keys").click()
    states = page.get_by_role("region", name="Keys").locator("tbody tr")
    await expect(states).to_have_count(2)
    await expect(states.first).to_contain_text("does not sign yet")
    await page.get_by_role("button", name="Sign with the new keys").click()
    await page.get_by_role("dialog").get_by_role("button", name="Sign with the new keys").click()
    await expect(states.first).to_contain_text("signs")
    await row.get_by_role("button", name="Limits").click()
    form = page.get_by_role("form", name="postriver.test")
    await form.get_by_label("Mails sent a day").fill("7")
    assert await faults(page) == []
    await form.get_by_role("button", name="Save").click()
    await until(lambda: len(world.directory._acts) == 3)
    await page.get_by_role("link", name="Users").click()
    await page.get_by_role("row", name="bob@").get_by_role("button", name="Room and").click()
    form = page.get_by_role("form", name="bob@postriver.test")
    hour = form.get_by_label("Mails sent an hour")
    for value, limits in (("5", {"mails_per_hour": 5}), ("", {})):
        await hour.fill(value)
        async with page.expect_response(is_change) as answered:
            await form.get_by_role("button", name="Save").click()
        assert (await (await answered.value).json())["limits"] == limits
    bob = await world.directory.user("bob")
    own = OwnLimits(world.directory, world.config.sending_limits)
    assert (await own.of(bob)).day.mails == 7
    assert watched.bad == []


async def test_pages_of_operators_have_no_faults_that_axe_finds(browser, world) -> None:
    await filled(world)
    size = {"width": 360, "height": 740}
    watched = await opened(browser, world, path="/admin/health", viewport=size, color_scheme="dark")
    page, found = watched.page, {}
    for tab in ("health", "queue", "quarantine", "letters", "users", "domains"):
        await page.goto(f"{world.url}/admin/{tab}")
        await expect(page.locator(".admin :is(table, .nothing)").first).to_be_visible()
        found[tab] = await faults(page)
    assert {tab: faults for tab, faults in found.items() if faults} == {}
    assert watched.bad == []


async def test_an_act_after_a_while_asks_for_the_password(browser, world) -> None:
    await filled(world)
    watched = await opened(browser, world, path="/admin/domains")
    page = watched.page
    age_all(world, 15 * 60_000 + 1)
    await page.get_by_role("textbox", name="Domain").fill("new.test")
    await page.get_by_role("button", name="Add domain").click()
    dialog = page.get_by_role("dialog", name="Confirm your password")
    for word in ("wrong", PASSWORDS["alice"]):
        await dialog.get_by_label("Password").fill(word)
        await page.keyboard.press("Enter")
        if word == "wrong":
            await expect(dialog.get_by_role("alert")).not_to_be_empty()
    await expect(page.get_by_role("heading", name="DNS records of new.test")).to_be_visible()
    await expect(page.locator(".connection[data-state=live]")).to_be_attached()
    await expect(page.locator("form.card")).to_have_count(0)
    assert len(world.directory._sessions) == 1
    assert watched.bad == []


async def test_who_is_no_operator_sees_nothing_of_it(browser, world) -> None:
    watched = await opened(browser, world, "bob", path="/admin/health", locale="ko-KR")
    await expect(watched.page.get_by_text("운영자만 볼 수 있습니다.")).to_be_visible()
    assert await watched.page.locator(".operators").count() == 0
    assert watched.bad == []
