"""GET /v1/start has what the single resources have; a session that is not remembered."""

import time

from api.rest.start import ROWS
from schemas.directory import Alias
from tests.api.rest.test_resources import get
from tests.support.edge_world import PLAIN, World


async def test_the_first_screen_is_one_response(world: World) -> None:
    for number in range(ROWS + 1):
        await world.deliver(PLAIN % b"%d" % number, at_ms=1000 + number)
    client = await world.signed()
    start = await get(client, "/v1/start")
    assert start["me"] == await get(client, "/v1/me")
    assert start["settings"] == await get(client, "/v1/me/settings")
    assert start["folders"] == (await get(client, "/v1/folders"))["folders"]
    assert start["inbox"] == await get(client, f"/v1/folders/inbox/threads?position=0&limit={ROWS}")
    assert (start["inbox"]["total"], len(start["inbox"]["threads"])) == (ROWS + 1, ROWS)
    assert start["state"] == (await get(client, "/v1/changes?since=0&limit=100"))["state"]
    assert start["limits"] == {
        "upload_bytes": 52_428_800, "recipients": 100, "undo_s": 10, "remote_images": False,
    }  # fmt: skip


async def test_its_tag_changes_with_mailbox_and_account(world: World) -> None:
    client = await world.signed()
    async with client.get("/v1/start") as response:
        before = {"If-None-Match": response.headers["ETag"]}
    async with client.get("/v1/start", headers=before) as response:
        assert response.status == 304
    await world.deliver()
    async with client.get("/v1/start", headers=before) as response:
        after = {"If-None-Match": response.headers["ETag"]}
        assert response.status == 200
    alias = Alias(
        address="team@postriver.test", domain_id="d", is_group=False,
        targets=("alice@postriver.test",), created_at_ms=1,
    )  # fmt: skip
    await world.directory.add_alias(alias)
    async with client.get("/v1/start", headers=after) as response:
        assert (await response.json())["me"]["addresses"][1:] == ["team@postriver.test"]


async def test_a_session_may_end_with_the_browser(world: World) -> None:
    client = world.client()
    for remember, days in ((True, 30), (False, 1)):
        login = {**world.credentials("alice"), "remember": remember}
        async with client.post("/v1/login", json=login) as response:
            assert response.status == 200
            cookie = response.cookies[f"postriver_{world.config.port}"]
        assert bool(cookie["max-age"]) == remember
        newest, *_ = await world.directory.sessions("alice", limit=10)
        assert 0 < newest.expires_at_ms / 1000 - time.time() <= days * 86_400
