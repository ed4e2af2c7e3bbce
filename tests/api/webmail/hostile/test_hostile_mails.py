"""Hostile mails in the webmail and opened alone: they run nothing, load nothing, cover nothing."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.api.webmail.hostile.audit import AUDIT, RULES
from tests.api.webmail.hostile.conftest import Hostile
from tests.api.webmail.hostile.html_cases import CASES, GREETING, case_html
from tests.support.webmail import opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
# Waits until each mail of `ids` is in its frame whole; returns the heights of the frames, twice.
LOADED = """async (ids) => {
  const frame = (id) => document.querySelector(`article[data-id="${id}"] iframe.mail`);
  const isLoaded = (id) => frame(id)?.style.height && frame(id).contentDocument.readyState === "complete";
  while (!ids.every(isLoaded)) await new Promise(requestAnimationFrame);
  const heights = () => ids.map((id) => frame(id).style.height).join();
  const before = heights();
  for (let n = 0; n < 5; n += 1) await new Promise(requestAnimationFrame);
  return [before, heights()];
}"""  # noqa: E501
ALONE = [name for name in CASES if name.startswith(("scripts", "requests"))]
LIMIT_S = 60  # of a conversation on a busy machine
SETTLE_MS = 300  # what runs after the load event has run


async def test_a_hostile_mail_runs_nothing_and_loads_nothing(
    browser, hostile: Hostile, faults
) -> None:
    watched = await opened(browser, hostile.world)
    page, found = watched.page, {}
    page.on("request", lambda asked: "evil" in asked.url and faults.append(asked.url))
    for number, names in enumerate(hostile.groups):
        await watched.row(f"group {number} of").click()
        ids = [hostile.ids[name] for name in names]
        async with asyncio.timeout(LIMIT_S):
            before, after = await page.evaluate(LOADED, ids)
        assert before == after, names
        for name in names:
            rules = {**RULES, "id": hostile.ids[name], "text": f"{GREETING} {name}."}
            if audit := await page.evaluate(AUDIT, rules):
                found[name] = audit
    assert found == {}
    sandboxes = await page.locator("iframe.mail").evaluate_all(
        "frames => frames.map((one) => one.sandbox.value)"
    )
    assert sandboxes
    assert not [value for value in sandboxes if "allow-scripts" in value]
    await page.wait_for_timeout(SETTLE_MS)
    assert [*watched.bad, *faults] == []


def _frame(page: Page, hostile: Hostile, name: str):
    article = page.locator(f'article[data-id="{hostile.ids[name]}"]')
    return article.frame_locator("iframe.mail").get_by_text(f"{GREETING} {name}.")


async def test_a_hostile_mail_opened_alone_does_nothing(browser, hostile: Hostile, faults) -> None:
    page, found = await hostile.page_of_owner(browser, faults), {}
    requests: list[str] = []
    page.on("request", lambda asked: requests.append(asked.url))
    for name in ALONE:
        response = await page.goto(hostile.view_url(name))
        assert response
        assert response.status == 200
        if audit := await page.evaluate(AUDIT, {**RULES, "text": f"{GREETING} {name}."}):
            found[name] = audit
    await page.wait_for_timeout(SETTLE_MS)
    assert found == {}
    views = {hostile.view_url(name) for name in ALONE}
    assert set(requests) <= {*views, f"{hostile.world.url}/favicon.ico"}
    assert faults == []


async def test_without_the_sanitiser_the_policy_holds(
    browser, hostile: Hostile, faults, reports
) -> None:
    page = await hostile.page_of_owner(browser, faults)
    current = ""

    async def unsanitised(route: Route) -> None:
        await route.fulfill(headers=headers, body=case_html(current), status=200)

    answer = await page.context.request.get(hostile.view_url(next(iter(CASES))))
    headers = {**answer.headers, "content-type": "text/html; charset=utf-8"}
    headers = {key: value for key, value in headers.items() if "content-length" not in key}
    await page.route("**/v1/messages/*/view", unsanitised)
    for current in ALONE:
        await page.goto(hostile.view_url(current))
        assert await page.evaluate("() => document.body !== null")
    await page.wait_for_timeout(SETTLE_MS)
    assert faults == []
    reports.expect("Policy|POLICY|^request")  # of what the policy refused


async def test_without_the_sanitiser_the_frame_holds(browser, hostile: Hostile, reports) -> None:
    watched = await opened(browser, hostile.world)
    page, names = watched.page, {id_: name for name, id_ in hostile.ids.items()}

    async def unsanitised(route: Route) -> None:
        name = names[route.request.url.split("/")[-2]]
        answer = await route.fetch()
        await route.fulfill(response=answer, body=case_html(name))

    await page.route("**/v1/messages/*/view", unsanitised)
    scripts = [(number, names) for number, names in enumerate(hostile.groups) if names[0] in ALONE]
    for number, group in scripts[:2]:
        await watched.row(f"group {number} of").click()
        await expect(_frame(page, hostile, group[0])).to_be_visible()
    await page.wait_for_timeout(SETTLE_MS)
    assert [what for what in watched.bad if what.startswith(("ran", "dialog", "popup"))] == []
    reports.expect("Policy|POLICY|^request")  # of what the policy refused
    assert await page.evaluate("() => location.pathname.startsWith('/mail/inbox/')")
