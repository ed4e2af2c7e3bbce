"""/v1/uploads over a running API."""

import asyncio
import hashlib
from io import BytesIO

import pytest

from edge.deposits.uploader import UploadConfig
from scanners.memory import EICAR
from schemas.directory import Quota
from tests.support.edge_world import World

PATH = "/v1/uploads"
NAMED = {"Content-Disposition": "attachment; filename*=UTF-8''%EA%B7%B8%EB%A6%BC%2F..%2Fa.png"}


async def post(client, octets: bytes | BytesIO = b"picture", **headers: str):
    headers = {"Content-Type": "image/png", **headers}
    async with client.post(PATH, data=octets, headers=headers) as response:
        return response.status, await response.json()


async def test_a_file_is_uploaded_described_and_deleted(world: World) -> None:
    client = await world.signed()
    status, made = await post(client, **NAMED)
    assert status == 201
    assert (made["filename"], made["content_type"], made["size_bytes"]) == ("a.png", "image/png", 7)
    assert made["sha256"] == hashlib.sha256(b"picture").hexdigest()
    path = f"{PATH}/{made['id']}"
    async with client.get(path) as response:
        assert (response.status, await response.json()) == (200, made)
    bob = await world.signed("bob")
    for method in ("GET", "DELETE"):
        async with bob.request(method, path) as response:
            assert response.status == 404
    async with client.delete(path) as response:
        assert response.status == 204
    for method in ("GET", "DELETE"):
        async with client.request(method, path) as response:
            assert response.status == 404
    assert not world.holders.rows


async def test_a_body_above_the_limit_of_other_routes_is_taken(world: World) -> None:
    client = await world.signed()
    octets = bytes(range(256)) * 4096 * 3
    status, made = await post(client, BytesIO(octets))
    assert status == 201
    assert world.contents.contents[made["id"]] == octets

    async def pieces():
        for _ in range(8):
            yield b"x" * 100_000
            await asyncio.sleep(0)

    async with client.post(PATH, data=pieces()) as response:
        made = await response.json()
    assert made["size_bytes"] == 800_000
    assert made["content_type"] == "application/octet-stream"
    assert made["filename"] == "attachment"


async def test_what_is_too_large_is_refused_before_or_while_it_comes(make_world) -> None:
    world: World = await make_world(uploads=UploadConfig(size_max_bytes=100_000))
    client = await world.signed()
    status, problem = await post(client, b"x" * 100_001)
    assert (status, problem["code"]) == (413, "too_large")

    async def pieces():
        for _ in range(3):
            yield b"x" * 50_000
            await asyncio.sleep(0.01)

    async with client.post(PATH, data=pieces()) as response:
        assert response.status == 413
    assert not world.contents.contents


async def test_an_infected_file_is_refused_with_the_name_of_the_virus(world: World) -> None:
    client = await world.signed()
    status, problem = await post(client, b"x" + EICAR)
    assert (status, problem["code"], problem["virus"]) == (422, "infected", "Eicar-Test-Signature")
    world.virus.down = True
    async with client.post(PATH, data=b"x") as response:
        assert response.status == 503
        assert response.headers["Retry-After"]
    assert not {**world.contents.contents, **world.uploads.rows, **world.holders.rows}


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "text", "a/b c", "é/x"])
async def test_a_type_that_is_not_of_one_file_is_refused(world: World, kind: str) -> None:
    status, problem = await post(await world.signed(), **{"Content-Type": kind})
    assert (status, problem["code"]) == (415, "unsupported_media_type")


async def test_quotas_are_reported_apart(make_world) -> None:
    world: World = await make_world(quota=Quota(size_bytes=50), uploads=UploadConfig(user_max=2))
    client = await world.signed()
    assert (await post(client, b"x" * 51))[1]["code"] == "over_quota"
    await post(client, b"x" * 20)
    async with client.get("/v1/me") as response:
        assert (await response.json())["quota"]["bytes"] == {"used": 20, "limit": 50}
    await post(client, b"x")
    status, problem = await post(client, b"x")
    assert (status, problem["code"]) == (507, "too_many_uploads")


async def test_a_client_that_sends_too_slowly_is_cut_off(make_world) -> None:
    world: World = await make_world(upload_stall_s=0.3, upload_least_bytes_per_s=1e6)
    client = await world.signed()

    async def trickle():
        for _ in range(50):
            yield b"x"
            await asyncio.sleep(0.05)

    async with client.post(PATH, data=trickle()) as response:
        assert response.status == 408
    assert not world.uploads.rows


async def test_bodies_take_memory_of_which_a_user_gets_a_share(make_world) -> None:
    world: World = await make_world(uploads_max_bytes=1000)
    client, bob = await world.signed(), await world.signed("bob")
    going, started = asyncio.Event(), asyncio.Event()

    async def held():
        yield b"x" * 10
        started.set()
        await going.wait()

    headers = {"Content-Length": "400"}
    first = asyncio.create_task(client.post(PATH, data=held(), headers=headers).__aenter__())
    await started.wait()
    await asyncio.sleep(0.1)
    assert (await post(client, b"x" * 200))[0] == 429
    assert (await post(bob, b"x" * 60))[0] == 201
    first.cancel()
    going.set()
    await asyncio.gather(first, return_exceptions=True)
