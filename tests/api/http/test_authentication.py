"""Authentication: sessions, logout, and requests from pages of other sites."""

import asyncio
import re

import aiohttp
import pytest

from edge.sign_in.session_tokens import token_sha256
from schemas.directory import Quota, Session
from tests.support.edge_world import PLAIN, World

SIGNED = [
    ("GET", "/v1/me"),
    ("POST", "/v1/logout"),
    ("GET", "/v1/folders"),
    ("GET", "/v1/folders/inbox/messages"),
    ("GET", "/v1/search?q=hello"),
    ("GET", "/v1/messages/{id}"),
    ("PATCH", "/v1/messages/{id}"),
    ("GET", "/v1/messages/{id}/raw"),
    ("GET", "/v1/messages/{id}/attachments/1"),
]
ONLY_COOKIE = re.compile(r"^postriver_0=[\w-]{43}; HttpOnly; Max-Age=\d+; Path=/; SameSite=Strict$")


async def login(world: World, **fields: object) -> tuple[int, dict[str, object]]:
    body = {**world.credentials("alice"), **fields}
    async with world.client().post("/v1/login", json=body) as response:
        return response.status, await response.json()


async def test_signing_in_gives_a_token_and_a_cookie_and_keeps_only_a_hash(world: World) -> None:
    async with world.client().post("/v1/login", json=world.credentials("alice")) as response:
        answer = await response.json()
        assert set(answer) == {"token", "expires_at"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["expires_at"])
        assert ONLY_COOKIE.match(response.headers["Set-Cookie"])
    token = answer["token"]
    session = await world.directory.session(token_sha256(token))
    assert session is not None
    assert token not in repr(session)
    for client in (world.client(token), world.client(Cookie=f"postriver_0={token}")):
        async with client.get("/v1/me") as response:
            assert response.status == 200
            assert (await response.json())["address"] == "alice@postriver.test"


async def test_who_signed_in_sees_room_and_what_is_used(make_world) -> None:
    world = await make_world(quota=Quota(messages=10))
    row = await world.deliver()
    client, size = await world.signed(), row.content.size_bytes
    own = {"bytes": {"used": size, "limit": None}, "mails": {"used": 1, "limit": 10}}
    async with client.get("/v1/me") as response:
        assert (await response.json())["quota"] == {**own, "domain": None}
    await world.directory.set_user_quota("alice", Quota(size_bytes=5, messages=0))
    await world.directory.set_domain_quota("d", Quota(size_bytes=9000))
    async with client.get("/v1/me") as response:
        assert (await response.json())["quota"] == {
            "bytes": {"used": size, "limit": 5},
            "mails": {"used": 1, "limit": None},
            "domain": {
                "bytes": {"used": size, "limit": 9000}, "mails": {"used": 1, "limit": None},
            },
        }  # fmt: skip


async def test_behind_tls_the_cookie_is_bound_to_the_host(make_world) -> None:
    world = await make_world(secure_cookies=True)
    async with world.client().post("/v1/login", json=world.credentials("alice")) as response:
        cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-postriver=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "wrong"},
        {"address": "nobody@postriver.test"},
        {"address": "not an address"},
        {"address": "postmaster@postriver.test", "password": ""},
        {"address": ""},
    ],
)
async def test_whatever_is_wrong_with_a_sign_in_the_answer_is_the_same(world, fields) -> None:
    _, expected = await login(world, password="wrong")
    assert await login(world, **fields) == (401, expected)


async def test_a_disabled_user_is_told_no_more_than_a_stranger_and_is_signed_out(world) -> None:
    client = await world.signed()
    _, expected = await login(world, password="wrong")
    await world.directory.set_disabled("alice", disabled=True)
    assert await login(world) == (401, expected)
    late = "l" * 43  # a login in progress when the user was disabled
    await world.directory.add_session(
        Session(token_sha256=token_sha256(late), user_id="alice", expires_at_ms=2**45)
    )
    for one in (client, world.client(late)):
        async with one.get("/v1/me") as response:
            assert response.status == 401


async def test_an_address_is_read_in_its_normal_form(world: World) -> None:
    assert (await login(world, address="ALICE@PostRiver.TEST"))[0] == 200


@pytest.mark.parametrize(("method", "path"), SIGNED)
async def test_without_a_valid_sign_in_there_is_nothing(world: World, method, path) -> None:
    row = await world.deliver()
    path = path.format(id=row.message_id)
    expired = "e" * 43
    await world.directory.add_session(
        Session(token_sha256=token_sha256(expired), user_id="alice", expires_at_ms=1)
    )
    bodies = set()
    for client in (
        world.client(),
        world.client("x" * 43),
        world.client(expired),
        world.client("short"),
        world.client(Authorization="Basic YWxpY2U6eA=="),
        world.client(Cookie="postriver_0=" + "x" * 43),
    ):
        async with client.request(method, path, json={}) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            bodies.add(await response.text())
    assert len(bodies) == 1


async def test_a_bad_bearer_is_not_saved_by_a_good_cookie(world: World) -> None:
    cookie = f"postriver_0={await world.token()}"
    async with world.client("x" * 43, Cookie=cookie).get("/v1/me") as response:
        assert response.status == 401


async def test_signing_out_ends_this_sign_in_alone(world: World) -> None:
    one, other = await world.signed(), await world.signed()
    async with one.post("/v1/logout") as response:
        assert response.status == 204
        assert "Max-Age=0" in response.headers["Set-Cookie"]
    async with one.get("/v1/me") as response:
        assert response.status == 401
    async with other.get("/v1/me") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "{own}"}, 200),
        ({"Origin": "{own}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{own}.evil.test"}, 403),
        ({"Origin": "http://[broken"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "{own}"}, 403),
    ],
)
async def test_with_a_cookie_only_our_own_page_may_change_things(world, headers, status) -> None:
    row = await world.deliver()
    cookie = f"postriver_0={await world.token()}"
    headers = {name: value.format(own=world.url) for name, value in headers.items()}
    client = world.client(Cookie=cookie, **headers)
    path = f"/v1/messages/{row.message_id}"
    async with client.patch(path, json={"flagged": True}) as response:
        assert response.status == status
    async with client.get(path) as response:
        assert response.status == 200
        assert (await response.json())["flagged"] == (status == 200)


async def test_a_bearer_token_is_no_cookie_and_works_from_anywhere(world: World) -> None:
    row = await world.deliver()
    client = world.client(await world.token(), Origin="http://evil.test")
    async with client.patch(f"/v1/messages/{row.message_id}", json={"flagged": True}) as response:
        assert response.status == 200


async def test_another_site_cannot_sign_somebody_in(world: World) -> None:
    client = world.client(Origin="http://evil.test")
    async with client.post("/v1/login", json=world.credentials("alice")) as response:
        assert response.status == 403
        assert "Set-Cookie" not in response.headers


async def test_failed_sign_ins_are_limited_by_address_even_at_once(make_world) -> None:
    world = await make_world(login_failures_per_address=3)
    client = world.client()

    async def attempt(name: str, password: str) -> aiohttp.ClientResponse:
        body = {"address": f"{name}@postriver.test", "password": password}
        async with client.post("/v1/login", json=body) as response:
            return response

    answers = await asyncio.gather(*(attempt("alice", "wrong") for _ in range(6)))
    assert sorted(one.status for one in answers) == [401] * 3 + [429] * 3
    refused = next(one for one in answers if one.status == 429)
    assert 800 < int(refused.headers["Retry-After"]) <= 900
    assert (await attempt("alice", "correct horse")).status == 429
    assert (await attempt("bob", "battery staple")).status == 200


async def test_failed_sign_ins_are_limited_by_peer(make_world) -> None:
    world = await make_world(login_failures_per_peer=3)
    for guess in range(3):
        assert (await login(world, address=f"user{guess}@postriver.test"))[0] == 401
    assert (await login(world))[0] == 429


async def test_sign_ins_that_were_right_do_not_count(make_world) -> None:
    world = await make_world(login_failures_per_address=2, login_failures_per_peer=2)
    for _ in range(4):
        assert (await login(world))[0] == 200


ID_ROUTES = [(m, p) for m, p in SIGNED if "{id}" in p] + [("GET", "/v1/folders/{id}/messages")]


@pytest.mark.parametrize(("method", "path"), ID_ROUTES)
async def test_another_persons_id_is_as_unknown_as_any(world: World, method, path) -> None:
    html = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n"
    html += b"Content-Disposition: attachment; filename=a.txt\r\n\r\ndata\r\n--b--\r\n"
    bobs = await world.deliver(b"Subject: secret\r\n" + html, name="bob")
    client = await world.signed("alice")
    answers = set()
    for id_ in (
        bobs.message_id,
        "00000000-0000-5000-8000-000000000000",
        "not-an-id",
        bobs.message_id.upper() + "x",
        "%00",
        "é",
        "a" * 3000,
    ):
        url = path.format(id=id_)
        async with client.request(method, url, json={"unread": False}) as response:
            answers.add((response.status, response.content_type, await response.read()))
    assert len(answers) == 1
    status, kind, body = answers.pop()
    assert (status, kind) == (404, "application/problem+json")
    assert b"secret" not in body
    assert world.mailboxes.commands == []
    async with client.get("/v1/no/such/place") as response:
        assert await response.read() == body


async def test_lists_search_and_counts_are_the_callers_own(world: World) -> None:
    await world.deliver(PLAIN % b"zebra", name="bob")
    client = await world.signed("alice")
    for path in ("/v1/folders/inbox/messages", "/v1/search?q=zebra"):
        async with client.get(path) as response:
            assert (await response.json())["messages"] == []
    async with client.get("/v1/folders") as response:
        assert {folder["total"] for folder in (await response.json())["folders"]} == {0}
