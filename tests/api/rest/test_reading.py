"""The view document and inline attachments: headers, images of the mail, fields of the detail."""

import base64
import hashlib
import io
import re
import zipfile

import pytest

from api.config import ApiConfig
from api.http.one_click import OneClickClient, UnsubscribeFailed
from mail.mime.list_unsubscribe import UnsubscribeOffer, unsubscribe_offer
from mail.outbound_addresses import GLOBAL_ONLY
from tests.api.rest.test_resources import get
from tests.support.edge_world import PLAIN, World

PNG = b"\x89PNG data"
LETTER = (
    b"From: news@elsewhere.test\r\nTo: alice@postriver.test\r\nSubject: <b>News</b>\r\n"
    b"List-Unsubscribe: <mailto:off@elsewhere.test>, <https://elsewhere.test/off?u=1>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<p style='color:#123456' onclick=x()>Hi</p><script>x()</script><img src='cid:logo@x'>"
    b"<img src='https://elsewhere.test/a.png'><img src='https://elsewhere.test/p' width=1 height=1>"
    b"<blockquote>old</blockquote>\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Disposition: inline\r\n\r\n"
    + PNG
    + b"\r\n--b\r\nContent-Type: image/svg+xml\r\nContent-Disposition: attachment\r\n\r\n<svg/>"
    b"\r\n--b--\r\n"
)


async def test_a_message_is_a_document_of_its_own(world: World) -> None:
    row = await world.deliver(LETTER)
    client = await world.signed()
    path = f"/v1/messages/{row.message_id}/view"
    async with client.get(path) as response:
        html, headers = await response.text(), response.headers
    assert (response.status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    (sheet,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert rules == {
        "sandbox": "allow-same-origin allow-popups allow-popups-to-escape-sandbox",
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "'self'",
        "frame-ancestors": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert "{color:#123456}" in sheet
    assert 'src="attachments/1?inline=true"' in html
    assert "&lt;b&gt;News" in html
    for absent in ("x()", "style=", "elsewhere.test"):
        assert absent not in html
    async with client.get(path, headers={"If-None-Match": headers["ETag"]}) as response:
        assert response.status == 304


async def test_plain_text_is_a_document_too(world: World) -> None:
    row = await world.deliver(PLAIN % b"Hi" + b"\r\nhttps://x.test/\r\n> old\r\n")
    client = await world.signed()
    async with client.get(f"/v1/messages/{row.message_id}/view") as response:
        html = await response.text()
    assert '<a href="https://x.test/"' in html
    assert '<details class="mail-fold">' in html
    detail = await get(client, f"/v1/messages/{row.message_id}")
    assert detail["view"] == {
        "html": False, "remote_images": 0, "trackers": 0, "own_colours": False, "quoted": True,
    }  # fmt: skip
    assert detail["unsubscribe"] is None


async def test_other_users_see_no_document(world: World) -> None:
    row = await world.deliver(LETTER)
    async with (await world.signed("bob")).get(f"/v1/messages/{row.message_id}/view") as response:
        assert response.status == 404
    async with world.client().get(f"/v1/messages/{row.message_id}/view") as response:
        assert response.status == 401


async def test_the_detail_says_what_the_document_shows(world: World) -> None:
    row = await world.deliver(LETTER)
    detail = await get(await world.signed(), f"/v1/messages/{row.message_id}")
    assert detail["view"] == {
        "html": True, "remote_images": 2, "trackers": 1, "own_colours": True, "quoted": True,
    }  # fmt: skip
    assert detail["unsubscribe"] == {
        "one_click": True,
        "url": "https://elsewhere.test/off?u=1",
        "mailto": "mailto:off@elsewhere.test",
    }
    picture, vector = detail["attachments"]
    assert (picture["content_id"], picture["inline"], picture["preview"]) == (
        "logo@x", True, "image",
    )  # fmt: skip
    assert (vector["content_id"], vector["inline"], vector["preview"]) == ("", False, None)


async def test_only_passive_types_are_displayed(world: World) -> None:
    row = await world.deliver(LETTER)
    client = await world.signed()
    path = f"/v1/messages/{row.message_id}/attachments"
    async with client.get(f"{path}/1?inline=true") as response:
        assert await response.read() == PNG
        assert response.headers["Content-Disposition"].startswith("inline; ")
        policy = response.headers["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in policy
        assert policy.endswith("sandbox")
        etag = response.headers["ETag"]
    async with client.get(f"{path}/1", headers={"If-None-Match": etag}) as response:
        assert response.status == 200
        assert response.headers["Content-Disposition"].startswith("attachment; ")
    async with client.get(f"{path}/2?inline=true") as response:
        assert response.headers["Content-Disposition"].startswith("attachment; ")
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    async with client.get(f"{path}/1?inline=yes") as response:
        assert (await response.json())["code"] == "bad_inline"


@pytest.mark.parametrize(
    ("value", "post", "offer"),
    [
        ("<https://a.test/x>", "List-Unsubscribe=One-Click", (True, "https://a.test/x", None)),
        ("<https://a.test/x>", "", (False, "https://a.test/x", None)),
        ("<mailto:a@b.test>", "List-Unsubscribe=One-Click", (False, None, "mailto:a@b.test")),
        ("<http://a.test/x>, <javascript:x>", "List-Unsubscribe=One-Click", None),
        ("<https://[x>", "", None),
        ("", "List-Unsubscribe=One-Click", None),
    ],
)
def test_offers_of_unsubscription(value: str, post: str, offer: tuple | None) -> None:
    headers = (("LIST-Unsubscribe", value), ("List-Unsubscribe-Post", post))
    assert unsubscribe_offer(headers) == (offer and UnsubscribeOffer(*offer))


async def test_all_attachments_are_one_archive(world: World) -> None:
    again = b"--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n%d\r\n"
    head = b"Subject: files/1\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    row = await world.deliver(head + b"".join(again % n for n in (1, 2)) + b"--b--\r\n")
    client = await world.signed()
    async with client.get(f"/v1/messages/{row.message_id}/attachments.zip") as response:
        archive = zipfile.ZipFile(io.BytesIO(await response.read()))
        assert response.headers["Content-Type"] == "application/zip"
        assert 'filename="1.zip"' in response.headers["Content-Disposition"]
        etag = {"If-None-Match": response.headers["ETag"]}
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == {
        "a.txt": b"1", "a (2).txt": b"2",
    }  # fmt: skip
    async with client.get(f"/v1/messages/{row.message_id}/attachments.zip", headers=etag) as again:
        assert again.status == 304
    row = await world.deliver()
    async with client.get(f"/v1/messages/{row.message_id}/attachments.zip") as response:
        assert response.status == 404


class ListSender(OneClickClient):
    """Records the addresses that a request would be sent to; `fault`: why it fails."""

    def __init__(self) -> None:
        super().__init__(GLOBAL_ONLY)
        self.urls: list[str] = []
        self.fault = ""

    async def unsubscribe(self, url: str) -> None:
        self.urls.append(url)
        if self.fault:
            raise UnsubscribeFailed(self.fault)


async def post_to(world: World, message_id: str) -> tuple[int, str]:
    async with (await world.signed()).post(f"/v1/messages/{message_id}/unsubscribe") as response:
        body = await response.json() if response.status != 204 else {}
        return response.status, body.get("code", "")


async def test_nothing_is_sent_where_requests_to_other_servers_are_off(world: World) -> None:
    row = await world.deliver(LETTER)
    assert await post_to(world, row.message_id) == (409, "outbound_off")


async def test_a_list_is_left_by_one_request() -> None:
    sender = ListSender()
    world = World(config=ApiConfig(port=0, unsubscribes_per_minute=2), one_click=sender)
    await world.open()
    offers, none = await world.deliver(LETTER), await world.deliver()
    assert await post_to(world, none.message_id) == (409, "no_one_click")
    assert await post_to(world, offers.message_id) == (204, "")
    assert sender.urls == ["https://elsewhere.test/off?u=1"]
    sender.fault = "It answered 500."
    assert await post_to(world, offers.message_id) == (502, "unsubscribe_failed")
    assert await post_to(world, offers.message_id) == (429, "too_many")
    await world.close()
