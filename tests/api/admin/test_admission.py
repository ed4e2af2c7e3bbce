"""Who is admitted to the admin API: operators alone, for acts with a recent sign-in only."""

from http.cookies import SimpleCookie

import msgspec
import pytest

from api.admin.routes import ADMIN_ROUTES
from api.config import ApiConfig
from api.openapi import document
from mail.errors import StoreUnavailable
from tests.support.edge_world import PASSWORDS, World

ID = "00000000-0000-7000-8000-000000000001"
ACTS = [route for route in ADMIN_ROUTES if route.method != "GET"]
RELEASE = f"/v1/admin/quarantine/{ID}/release"


def path_of(route) -> str:
    return route.path.replace("{id}", ID).replace("{action}", "retry").replace("{name}", "a.test")


async def answer(client, method: str, path: str, **more) -> tuple[int, dict]:
    async with client.request(method, path, **more) as response:
        return response.status, await response.json() if response.status != 204 else {}


def age_all(world: World, by_ms: int) -> None:
    """Make every sign-in older."""
    for sha256, row in world.directory._sessions.items():
        old = msgspec.structs.replace(row, created_at_ms=row.created_at_ms - by_ms)
        world.directory._sessions[sha256] = old


async def test_who_is_no_operator_gets_nothing_and_leaves_nothing(world: World) -> None:
    await world.desk.keep(ID, "alice")
    bob = await world.signed("bob")
    answers = set()
    for route in ADMIN_ROUTES:
        for path in (path_of(route), path_of(route) + "?x=1"):
            status, body = await answer(bob, route.method, path, json={"force": True})
            answers.add((status, body["code"], body["detail"]))
        assert (await answer(world.client(), route.method, path_of(route)))[0] == 401
    assert answers == {(403, "not_operator", "This is for operators.")}
    assert await world.directory.acts(limit=1) == []
    assert (await answer(bob, "GET", "/v1/me"))[1]["roles"] == []


async def test_a_role_counts_from_the_next_request_on(world: World) -> None:
    client = await world.operator()
    assert (await answer(client, "GET", "/v1/admin/acts"))[0] == 200
    assert (await answer(client, "GET", "/v1/start"))[1]["me"]["roles"] == ["operator"]
    await world.directory.set_role("alice", "user")
    assert (await answer(client, "GET", "/v1/admin/acts"))[0] == 403


async def test_to_act_takes_a_recent_sign_in(world: World) -> None:
    await world.desk.keep(ID, "alice")
    client = await world.operator()
    age_all(world, 15 * 60_000 + 1)
    assert (await answer(client, "GET", "/v1/admin/quarantine"))[0] == 200
    for route in ACTS:
        status, body = await answer(client, route.method, path_of(route), json={})
        assert (status, body["code"]) == (403, "sign_in_again"), route.path
    assert await world.directory.acts(limit=1) == []
    for word, expected in (("wrong", 403), (PASSWORDS["alice"], 200)):
        status, body = await answer(client, "POST", "/v1/me/confirm", json={"password": word})
        assert status == expected
    confirmed = world.client(body["token"])
    assert (await answer(client, "GET", "/v1/me"))[0] == 401, "a copy of the token is void"
    assert (await answer(confirmed, "POST", RELEASE, json={}))[0] == 200
    assert len((await answer(confirmed, "GET", "/v1/sessions"))[1]["sessions"]) == 1


async def test_a_browser_gets_the_new_cookie_and_another_site_does_not_act(world: World) -> None:
    await world.directory.set_role("alice", "operator")
    async with world.client().post("/v1/login", json=world.credentials("alice")) as response:
        cookies = SimpleCookie(response.headers["Set-Cookie"])
    name = ApiConfig(port=0).cookie(https=False)
    page = {"Sec-Fetch-Site": "same-origin", "Cookie": f"{name}={cookies[name].value}"}
    body = {"password": PASSWORDS["alice"]}
    async with world.client(**page).post("/v1/me/confirm", json=body) as response:
        (given,) = [line for line in response.headers.getall("Set-Cookie") if name in line]
        assert "HttpOnly" in given
        assert "SameSite=Strict" in given
        assert "Max-Age" in given, "as long-lived as the cookie before"
        token = (await response.json())["token"]
    foreign = {"Cookie": f"{name}={token}", "Sec-Fetch-Site": "cross-site"}
    for route in ACTS:
        status, said = await answer(world.client(**foreign), route.method, path_of(route), json={})
        assert (status, said["code"]) == (403, "cross_site")
    assert await world.directory.acts(limit=1) == []


async def test_an_act_that_cannot_be_noted_is_not_carried_out(world: World) -> None:
    await world.desk.keep(ID, "alice")
    client = await world.operator()

    def fault(step: str) -> None:
        if step == "write":
            raise StoreUnavailable(step)

    world.directory.fault = fault
    assert (await answer(client, "POST", RELEASE, json={}))[0] == 503
    row = await world.desk.quarantine.get(ID)
    assert row is not None
    assert row.released_at_ms is None


async def test_every_act_is_noted(world: World) -> None:
    """Each operation that is no GET, with a body that it accepts."""
    bodies = {
        "admin_queue_change": {"domain": "example.net"},
        "admin_redrive_dead_letters": {"ids": ["3-1"]},
        "admin_discard_dead_letters": {"ids": ["3-1"], "reason": "old"},
        "admin_park_dead_letters": {"position": "mail.received@3-120"},
        "admin_add_user": {"address": "carol@postriver.test"},
        "admin_patch_user": {"role": "operator"},
        "admin_add_domain": {"name": "new.test"},
        "admin_patch_domain": {"limits": {"mails_per_day": 9}},
    }
    client = await world.operator()
    await world.desk.keep(ID, "alice")
    for number, route in enumerate(ACTS, start=1):
        path = path_of(route).replace(f"users/{ID}", "users/bob").replace("a.test", "new.test")
        status, _ = await answer(client, route.method, path, json=bodies.get(route.name, {}))
        assert status in {200, 201}, route.path
        acts = await world.directory.acts(limit=99)
        assert len(acts) == number
        assert (acts[0].outcome, acts[0].user_id, acts[0].peer) == ("done", "alice", "127.0.0.1")
        assert acts[0].target or acts[0].detail
    assert len({act.verb for act in acts}) == len(ACTS)


async def test_acts_have_a_rate(make_world) -> None:
    world = await make_world(acts_per_minute=2)
    client = await world.operator()
    statuses = [(await answer(client, "POST", RELEASE, json={}))[0] for _ in range(3)]
    assert statuses == [404, 404, 429]
    assert [act.outcome[:7] for act in await world.directory.acts(limit=9)] == ["failed:"] * 2


@pytest.mark.parametrize("path", ["/v1/admin/status", "/admin/health"])
async def test_without_the_admin_api_there_is_nothing_of_it(make_world, path: str) -> None:
    world = await make_world(admin=False)
    client = await world.operator()
    assert (await answer(client, "GET", path))[0] == 404
    assert (await answer(client, "GET", "/v1/me"))[1]["roles"] == []
    described = document(ApiConfig(admin=False))["paths"]
    assert not [path for path in described if "admin" in path]
