"""Sessions and login attempts of a user."""

import logging

import aiohttp
import msgspec

from edge.sign_in.session_tokens import new_token, token_sha256
from tests.support.edge_world import World


async def get(client: aiohttp.ClientSession, path: str) -> dict:
    async with client.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def delete(client: aiohttp.ClientSession, path: str) -> int:
    async with client.delete(path) as response:
        return response.status


async def log_in(world: World, password: str, **headers: str) -> int:
    body = {"address": "alice@postriver.test", "password": password}
    async with world.client(**headers).post("/v1/login", json=body) as response:
        return response.status


async def test_sessions_are_listed_and_ended_one_by_one(world: World) -> None:
    current, second = await world.signed(), await world.signed()
    sessions = (await get(current, "/v1/sessions"))["sessions"]
    assert sorted(session["current"] for session in sessions) == [False, True]
    (other,) = [session for session in sessions if not session["current"]]
    assert other["peer"] == "127.0.0.1"
    assert other["user_agent"].startswith("Python/")
    assert other["created_at"] == other["last_used_at"] < other["expires_at"]
    async with second.ws_connect("/v1/push") as socket:
        assert await delete(current, f"/v1/sessions/{other['id']}") == 204
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4401
    async with second.get("/v1/me") as response:
        assert response.status == 401
    assert await delete(current, f"/v1/sessions/{other['id']}") == 404
    (own,) = (await get(current, "/v1/sessions"))["sessions"]
    assert await delete(current, f"/v1/sessions/{own['id']}") == 204
    async with current.get("/v1/me") as response:
        assert response.status == 401


async def test_all_others_are_ended_at_once_and_nobody_elses(world: World) -> None:
    current, second, bob = [await world.signed(name) for name in ("alice", "alice", "bob")]
    await world.signed()
    assert await delete(current, "/v1/sessions") == 204
    assert len((await get(current, "/v1/sessions"))["sessions"]) == 1
    (of_bob,) = (await get(bob, "/v1/sessions"))["sessions"]
    assert await delete(current, f"/v1/sessions/{of_bob['id']}") == 404
    assert len((await get(bob, "/v1/sessions"))["sessions"]) == 1
    async with second.get("/v1/me") as response:
        assert response.status == 401


async def test_the_last_use_is_written_down_now_and_then(world: World) -> None:
    fresh, stale = await world.token(), new_token()
    before = await world.directory.session(token_sha256(fresh))
    long_ago = msgspec.structs.replace(before, token_sha256=token_sha256(stale), used_at_ms=1)
    await world.directory.add_session(long_ago)
    for token in (fresh, stale):
        await get(world.client(token), "/v1/me")
    assert await world.directory.session(token_sha256(fresh)) == before
    assert (await world.directory.session(token_sha256(stale))).used_at_ms > before.used_at_ms


async def test_the_owner_sees_who_tried_to_sign_in(make_world, caplog) -> None:
    world = await make_world(login_failures_per_address=2)
    caplog.set_level(logging.INFO)
    client = await world.signed()
    for status in (401, 401, 429):
        assert await log_in(world, "s3cret guess", **{"User-Agent": "Evil\t/1 한" + "x" * 300}) == (
            status
        )
    page = await get(client, "/v1/me/logins?limit=3")
    assert [login["outcome"] for login in page["logins"]] == ["lockout", "failure", "failure"]
    rest = await get(client, f"/v1/me/logins?cursor={page['next_cursor']}")
    assert [login["outcome"] for login in rest["logins"]] == ["success"]
    assert rest["next_cursor"] is None
    failed = page["logins"][0]
    assert failed["peer"] == "127.0.0.1"
    assert failed["user_agent"].startswith("Evil/1")
    assert len(failed["user_agent"]) <= 200
    assert "guess" not in str(page)
    assert not any(word in caplog.text for word in ("alice", "guess", "127.0.0.1"))
    bob = await world.signed("bob")
    assert [login["outcome"] for login in (await get(bob, "/v1/me/logins"))["logins"]] == [
        "success"
    ]
    async with bob.get(f"/v1/me/logins?cursor={page['next_cursor']}") as response:
        assert response.status == 400


async def test_a_try_at_an_unknown_address_is_noted_as_nobodys(world: World) -> None:
    body = {"address": "nobody@postriver.test", "password": "x"}
    async with world.client().post("/v1/login", json=body) as response:
        assert response.status == 401
    assert [row.outcome for row in await world.directory.sign_ins("", limit=9)] == ["failure"]
