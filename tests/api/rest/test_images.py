"""Remote images of a mail: off, or fetched by the image proxy for the owner of the mail."""

import re

import pytest

from api.config import ApiConfig
from api.http.image_proxy import ImageFailed, ImageProxy, RemoteImage
from api.image_urls import MAILS_MAX, ImageUrls
from mail.outbound_addresses import GLOBAL_ONLY
from tests.api.rest.test_reading import LETTER, PNG
from tests.api.rest.test_resources import get
from tests.support.edge_world import PLAIN, World

URLS = ["https://elsewhere.test/a.png", "https://elsewhere.test/p"]


class Pictures(ImageProxy):
    """A proxy that records the URLs; it delivers an image, or fails with `fault`."""

    def __init__(self) -> None:
        super().__init__(GLOBAL_ONLY)
        self.urls: list[str] = []
        self.fault = ""

    async def fetch(self, url: str) -> RemoteImage:
        self.urls.append(url)
        if self.fault:
            raise ImageFailed(self.fault)
        return RemoteImage("image/png", PNG)


@pytest.fixture
async def pictures():
    return Pictures()


@pytest.fixture
async def open_world(pictures: Pictures):
    world = World(config=ApiConfig(port=0, images_per_minute=3), images=pictures)
    await world.open()
    yield world
    await world.close()


async def answer(client, path: str) -> tuple[int, str]:
    async with client.get(path) as response:
        body = await response.json() if response.status != 200 else {}
        return response.status, body.get("code", "")


async def test_without_the_proxy_nothing_refers_to_remote_images(world: World) -> None:
    row = await world.deliver(LETTER)
    client, path = await world.signed(), f"/v1/messages/{row.message_id}"
    assert await answer(client, f"{path}/view?images=true") == (409, "images_off")
    assert await answer(client, f"{path}/images/1") == (409, "images_off")
    assert (await get(client, "/v1/start"))["limits"]["remote_images"] is False
    async with client.get(f"{path}/view?images=false") as response:
        assert "images/" not in await response.text()


async def test_images_are_shown_when_asked_for_and_fetched_one_by_one(
    open_world: World, pictures: Pictures
) -> None:
    row = await open_world.deliver(LETTER)
    client, path = await open_world.signed(), f"/v1/messages/{row.message_id}"
    assert (await get(client, "/v1/start"))["limits"]["remote_images"] is True
    async with client.get(f"{path}/view") as response:
        assert "images/" not in await response.text()
        etag = response.headers["ETag"]
    async with client.get(f"{path}/view?images=true", headers={"If-None-Match": etag}) as response:
        html = await response.text()
        assert response.status == 200
        assert "img-src 'self';" in response.headers["Content-Security-Policy"]
    assert re.findall(r'src="([^"]*)"', html) == [
        "attachments/1?inline=true", "images/1", "images/2",
    ]  # fmt: skip
    assert "elsewhere.test" not in html
    assert pictures.urls == []
    async with client.get(f"{path}/images/2") as response:
        assert (response.status, await response.read()) == (200, PNG)
        headers = response.headers
    assert pictures.urls == URLS[1:]
    assert headers["Content-Type"] == "image/png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].endswith("frame-ancestors 'self'; sandbox")
    assert headers["Cache-Control"] == "private, max-age=604800, immutable"


async def test_the_proxy_fetches_images_of_own_mails_only(
    open_world: World, pictures: Pictures
) -> None:
    row, text = await open_world.deliver(LETTER), await open_world.deliver(PLAIN % b"Text")
    client, path = await open_world.signed(), f"/v1/messages/{row.message_id}"
    for n in ("0", "3", "x", "-1", "99999"):
        assert (await answer(client, f"{path}/images/{n}"))[0] == 404
    assert (await answer(client, f"/v1/messages/{text.message_id}/images/1"))[0] == 404
    assert (await answer(await open_world.signed("bob"), f"{path}/images/1"))[0] == 404
    assert (await answer(open_world.client(), f"{path}/images/1"))[0] == 401
    assert (await answer(client, f"{path}/images/1?url=https://x.test/"))[0] == 400
    assert pictures.urls == []
    open_world.context.image_urls.__init__()  # as in another process
    assert await answer(client, f"{path}/images/1") == (200, "")
    assert pictures.urls == URLS[:1]


async def test_failures_and_too_many_images_are_told(open_world: World, pictures: Pictures) -> None:
    row = await open_world.deliver(LETTER)
    client, path = await open_world.signed(), f"/v1/messages/{row.message_id}/images/1"
    pictures.fault = "The server of the image answered 404."
    assert [await answer(client, path) for _ in range(4)] == [
        *[(502, "image_failed")] * 3, (429, "too_many"),
    ]  # fmt: skip


def test_the_urls_of_the_last_mails_are_remembered() -> None:
    urls = ImageUrls()
    for number in range(MAILS_MAX + 1):
        urls.add(str(number), (f"https://x.test/{number}",))
        urls.add("1", ("https://x.test/1",))
    assert urls.get("0") is None
    assert urls.get("1") == ("https://x.test/1",)
