"""Login under attack and under load; change of password; sessions ended by other processes."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from api.config import ApiConfig
from edge.sign_in.session_tokens import new_token, token_sha256
from edge.trusted_networks import Networks
from mail.directory.passwords import hash_password, verify_password
from mail.errors import StoreUnavailable
from tests.support.edge_world import PASSWORDS, World

BY_PROXY = Networks.parse("127.0.0.1")
FRESH, HOME = "203.0.113.9", "192.0.2.7"
RIGHT = PASSWORDS["alice"]
NEW = "a fine new one"


async def sign_in(
    world: World, password: str, peer: str = "", cookie: str = "", *, name: str = "alice"
) -> aiohttp.ClientResponse:
    headers = {"X-Forwarded-For": peer} if peer else {}
    headers |= {"Cookie": cookie} if cookie else {}
    body = {"address": f"{name}@postriver.test", "password": password}
    async with world.client(**headers).post("/v1/login", json=body) as response:
        await response.read()
        return response


async def statuses(world: World, password: str, *peers: str, cookie: str = "") -> list[int]:
    codes = [(await sign_in(world, password, peer, cookie)).status for peer in peers]
    return sorted(codes)


def device_cookie(response: aiohttp.ClientResponse) -> str:
    (cookie,) = (cookie for name, cookie in response.cookies.items() if name.endswith("_device"))
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert int(cookie["max-age"]) == 90 * 86_400
    return f"{cookie.key}={cookie.value}"


async def test_an_attack_from_many_peers_leaves_the_owners_machine_alone(make_world) -> None:
    world = await make_world(proxies=BY_PROXY, login_failures_everywhere=12)
    laptop = device_cookie(await sign_in(world, RIGHT, HOME))
    attackers = [f"198.51.100.{number}" for number in range(16)]
    assert await statuses(world, "wrong", *attackers) == [401] * 12 + [429] * 4
    assert await statuses(world, RIGHT, FRESH) == [429]
    assert await statuses(world, RIGHT, HOME) == [200]
    again = await sign_in(world, RIGHT, FRESH, laptop)
    assert (again.status, device_cookie(again)) == (200, laptop)


async def test_a_stranger_behind_the_owners_address_does_not_lock_her_out(make_world) -> None:
    world = await make_world(proxies=BY_PROXY, login_failures_per_address=3)
    laptop = device_cookie(await sign_in(world, RIGHT, HOME))
    assert await statuses(world, "wrong", *[HOME] * 5) == [401] * 3 + [429] * 2
    assert await statuses(world, RIGHT, HOME) == [429]
    assert await statuses(world, RIGHT, HOME, cookie=laptop) == [200]
    forged = f"{laptop.partition('=')[0]}={new_token()}"
    assert await statuses(world, RIGHT, HOME, cookie=forged) == [429]
    bob = await sign_in(world, PASSWORDS["bob"], HOME, laptop, name="bob")
    assert device_cookie(bob) == laptop, "one browser, two users"


async def test_a_restart_and_another_edge_know_the_failures(make_world) -> None:
    world = await make_world(login_failures_per_address=2)
    assert await statuses(world, "wrong", "", "", "") == [401, 401, 429]
    other = World(config=ApiConfig(port=0, login_failures_per_address=2), attempts=world.attempts)
    await other.open()
    assert await statuses(other, RIGHT, "") == [429]
    await other.close()


async def test_a_busy_server_locks_nobody_out(make_world) -> None:
    world = await make_world(logins_at_once=1, logins_waiting=1, login_failures_per_address=2)
    async with AsyncExitStack() as busy:
        await busy.enter_async_context(world.context.authenticator._checks.turn("someone"))
        waiting = asyncio.create_task(sign_in(world, RIGHT))
        while not world.context.authenticator._checks.waiting:
            await asyncio.sleep(0.01)
        assert await statuses(world, RIGHT, *[""] * 5) == [503] * 5
    assert (await waiting).status == 200

    def away(step: str) -> None:
        raise StoreUnavailable("sqlite")

    world.attempts.fault = away
    assert await statuses(world, RIGHT, *[""] * 3) == [503] * 3, "nothing is let in uncounted"
    world.attempts.fault = lambda step: None
    assert await statuses(world, RIGHT, "") == [200]


async def test_one_network_does_not_hold_the_line_to_the_password_check(make_world) -> None:
    world = await make_world(proxies=BY_PROXY, logins_at_once=1, logins_waiting=4)
    done: list[str] = []

    async def attempt(peer: str, password: str) -> int:
        status = (await sign_in(world, password, peer)).status
        done.append(f"{peer} {status}")
        return status

    async with world.context.authenticator._checks.turn("someone"):
        flood = [asyncio.create_task(attempt(f"2001:db8:1:{n:x}::1", "wrong")) for n in range(4)]
        while world.context.authenticator._checks.waiting < 4:
            await asyncio.sleep(0.01)
        honest = asyncio.create_task(attempt(FRESH, RIGHT))
        while FRESH not in world.context.authenticator._checks._turns._queues:
            await asyncio.sleep(0.01)
    assert await honest == 200
    assert sorted(await asyncio.gather(*flood)) == [401, 401, 401, 503], "one gave up its place"
    assert done.index(f"{FRESH} 200") <= 2, "it came second, not fifth"


async def test_sign_ins_that_succeed_are_limited_by_user_and_peer(make_world) -> None:
    world = await make_world(proxies=BY_PROXY, logins_per_hour=3)
    assert await statuses(world, RIGHT, *[HOME] * 5) == [200] * 3 + [429] * 2
    assert await statuses(world, RIGHT, FRESH) == [200]
    bob = await sign_in(world, PASSWORDS["bob"], HOME, name="bob")
    assert bob.status == 200


async def test_a_password_changed_meanwhile_begins_no_session(world: World) -> None:
    async with (
        world.context.authenticator._checks.turn("a"),
        world.context.authenticator._checks.turn("b"),
    ):
        late = asyncio.create_task(sign_in(world, RIGHT))
        while not world.context.authenticator._checks.waiting:
            await asyncio.sleep(0.01)
        await world.directory.set_password("alice", hash_password(NEW))
    assert (await late).status == 401
    assert await world.directory.sessions("alice", limit=9) == []


async def ended_with(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(10):
        while not ws.closed:
            await ws.receive()
    return ws.close_code


@pytest.mark.parametrize("how", ["password", "session", "disabled"])
async def test_an_end_that_another_process_caused_closes_sockets_at_once(make_world, how) -> None:
    world = await make_world(session_check_s=3600.0)
    token, other = await world.token(), await world.token("bob")
    ws = await world.client(token).ws_connect("/v1/push")
    stays = await world.client(other).ws_connect("/v1/push")
    await {
        "password": lambda: world.directory.set_password("alice", "x"),
        "session": lambda: world.directory.end_session(token_sha256(token)),
        "disabled": lambda: world.directory.set_disabled("alice", disabled=True),
    }[how]()
    assert await ended_with(ws) == 4401
    await world.deliver(name="bob")
    assert (await stays.receive_json(timeout=5))["type"] == "change"


async def test_a_session_that_ended_while_its_socket_opened_is_noticed(make_world) -> None:
    world = await make_world(session_check_s=3600.0)
    token = await world.token()
    world.context.push_connections.end_session(token_sha256(token))  # the stored session remains
    assert await ended_with(await world.client(token).ws_connect("/v1/push")) == 4401


async def change(client: aiohttp.ClientSession, old: str, new: str) -> tuple[int, str]:
    body = {"old_password": old, "password": new}
    async with client.patch("/v1/me", json=body) as response:
        answer = {} if response.status == 204 else await response.json(content_type=None)
        return response.status, answer.get("code", "")


async def test_an_owner_changes_the_password_and_all_other_sessions_end(world: World) -> None:
    here, there = await world.signed(), await world.signed()
    lost = await there.ws_connect("/v1/push")
    kept = await here.ws_connect("/v1/push")
    assert await change(here, RIGHT, NEW) == (204, "")
    assert await ended_with(lost) == 4401
    await world.deliver()
    assert (await kept.receive_json(timeout=5))["type"] == "change"
    async with there.get("/v1/me") as response:
        assert response.status == 401
    async with here.get("/v1/me") as response:
        assert response.status == 200
    assert await statuses(world, RIGHT, "") == [401]
    assert await statuses(world, NEW, "") == [200]


async def test_a_password_that_cannot_be_is_refused_and_the_old_one_stays(world: World) -> None:
    client = await world.signed()
    for weak in ("", "short", "alice@postriver.test", "Password2026!", "x" * 257):
        assert await change(client, RIGHT, weak) == (400, "weak_password")
    cookie = f"postriver_0={await world.token()}"
    stranger = world.client(Cookie=cookie, Origin="http://evil.test")
    assert await change(stranger, RIGHT, NEW) == (403, "cross_site")
    assert await change(world.client(), RIGHT, NEW) == (401, "unauthorized")
    user = await world.directory.user("alice")
    assert user is not None
    assert verify_password(user.password_hash, RIGHT)


async def test_a_stolen_session_is_no_way_to_guess_the_password(make_world) -> None:
    world = await make_world(login_failures_per_address=2)
    client = await world.signed()
    failures = [await change(client, "a guess", NEW) for _ in range(3)]
    assert failures == [(403, "wrong_password")] * 2 + [(429, "too_many")]
    assert await change(client, RIGHT, NEW) == (429, "too_many")
    assert await statuses(world, RIGHT, "") == [200], "the owner is not held to it"
    outcomes = [row.outcome for row in await world.directory.sign_ins("alice", limit=9)]
    assert outcomes.count("failure") == 2
    assert "lockout" in outcomes
