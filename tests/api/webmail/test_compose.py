"""Writing mail in the webmail: sending and taking back, drafts, files, answers, Hangul."""

import email
import email.policy

import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.edge_world import PLAIN, World
from tests.support.webmail import Watched, opened

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def editor_of(page: Page) -> Locator:
    editor = page.locator(".editor[data-ready]")
    await expect(editor).to_be_visible()
    return editor


async def write(watched: Watched, *, to: str, subject: str, text: str) -> None:
    page = watched.page
    await page.keyboard.press("c")
    await page.get_by_label("To", exact=True).fill(to)
    await page.keyboard.press("Enter")
    await page.get_by_label("Subject").fill(subject)
    await (await editor_of(page)).click()
    await page.keyboard.type(text)


async def sent_by_alice(world: World) -> email.message.EmailMessage:
    """The only mail that alice has sent."""
    (mail,) = [each for each in world.mailboxes.submitted if not each.outgoing.is_draft]
    octets = await world.contents.get(mail.content.ref)
    return email.message_from_bytes(octets, policy=email.policy.default)


async def undo_nothing(world: World) -> None:
    client = await world.signed()
    await client.patch("/v1/me/settings", json={"undo_send_s": 0})


async def test_a_mail_is_sent_taken_back_and_sent_again(browser, world) -> None:
    watched = await opened(browser, world)
    page = watched.page
    await write(watched, to="Bob <bob@postriver.test>", subject="Lunch", text="At noon?")
    await page.keyboard.press("ControlOrMeta+Enter")
    toast = await watched.toast("Sending in")
    await toast.get_by_role("button", name="Undo").click()
    await expect(await editor_of(page)).to_have_text("At noon?")
    await expect(page.get_by_label("Subject")).to_have_value("Lunch")
    assert [each.outgoing.is_draft for each in world.mailboxes.submitted] == [True]
    await page.get_by_role("button", name="Discard the draft").click()
    await undo_nothing(world)
    await write(watched, to="bob@postriver.test", subject="", text="At one?")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.get_by_role("heading", name="Send without a subject?")).to_be_visible()
    await page.get_by_role("button", name="Send", exact=True).last.click()
    await watched.toast("Sent.")
    sent = await sent_by_alice(world)
    assert sent["To"] == "bob@postriver.test"
    assert "At one?" in sent.get_body(("html",)).get_content()
    assert watched.bad == []


async def test_a_draft_survives_the_end_of_the_browser(browser, world) -> None:
    watched = await opened(browser, world)
    page, context = watched.page, watched.page.context
    await context.route("**/v1/drafts*", lambda route: route.abort())
    await write(watched, to="bob@postriver.test", subject="Unsaved", text="Half a sen")
    await page.wait_for_timeout(600)
    await page.close()
    await context.unroute("**/v1/drafts*")
    page = await context.new_page()
    await page.goto(world.url)
    await expect(await editor_of(page)).to_have_text("Half a sen")
    await expect(page.get_by_text("A draft that was not saved is open again.")).to_be_visible()
    await expect(page.locator(".composer-head .hint")).to_have_text("Saved")
    await page.get_by_role("button", name="Save and close").click()
    await page.get_by_role("link", name="Drafts").click()
    await page.locator(".rows .row", has_text="Unsaved").click()
    await expect(await editor_of(page)).to_have_text("Half a sen")
    await page.get_by_role("button", name="Discard the draft").click()
    await expect(page.get_by_text("Drafts are kept here")).to_be_visible()
    assert watched.bad == []


async def test_an_answer_has_quote_file_and_recipients(browser, world) -> None:
    original = b"Message-ID: <1@x.test>\r\nCc: Carol <carol@x.test>\r\n" + PLAIN % b"Plan"
    await world.deliver(original)
    await undo_nothing(world)
    watched = await opened(browser, world)
    page = watched.page
    await watched.row("Plan").click()
    await expect(page.get_by_role("button", name="Reply all")).to_be_visible()
    await page.keyboard.press("a")
    await expect(page.get_by_label("Subject")).to_have_value("Re: Plan")
    await expect(page.locator(".token")).to_have_text(["Bob", "Carol"])
    await page.locator("input[type=file]").set_input_files(
        {"name": "그림.txt", "mimeType": "text/plain", "buffer": b"river"}
    )
    await expect(page.locator(".composer-files li.done")).to_contain_text("그림.txt")
    await (await editor_of(page)).click()
    await page.keyboard.type("Agreed, see the attached file.")
    await page.get_by_role("button", name="Send", exact=True).click()
    await watched.toast("Sent.")
    sent = await sent_by_alice(world)
    assert sent["In-Reply-To"] == "<1@x.test>"
    assert sent["Cc"] == "Carol <carol@x.test>"
    assert "Hello" in sent.get_body(("html",)).get_content()
    assert [part.get_filename() for part in sent.iter_attachments()] == ["그림.txt"]
    assert watched.bad == []


async def test_what_is_pasted_is_cleaned_and_hangul_is_composed(browser, world, reports) -> None:
    watched = await opened(browser, world)
    page = watched.page
    await write(watched, to="bob@postriver.test", subject="Paste", text="")
    editor = await editor_of(page)
    await page.evaluate("""() => {
      const data = new DataTransfer();
      data.setData("text/html", `<b onclick="pwned('click')">bold</b>
        <img src=x onerror="pwned(1)"><script>pwned(2)</script><p style="color:red">red</p>`);
      document.querySelector(".editor").dispatchEvent(
        new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
    }""")
    await expect(editor).to_contain_text("red")
    assert await editor.locator("[style], [onclick], script").count() == 0
    session = await page.context.new_cdp_session(page)
    await page.keyboard.press("ControlOrMeta+End")
    for text in ("ㅎ", "하", "한"):
        await session.send("Input.imeSetComposition", {
            "text": text, "selectionStart": len(text), "selectionEnd": len(text)})  # fmt: skip
    await session.send("Input.insertText", {"text": "한"})
    await expect(editor).to_contain_text("한")
    await expect(editor).not_to_contain_text("하한")
    # The document that is cleaned is parsed under the policy, which reports its handlers.
    reports.expect(r"-src-attr|inline (?:event handler|style)")
    assert watched.bad == []
