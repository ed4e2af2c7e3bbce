"""Request rates, compression and CORS."""

import gzip

import aiohttp
import pytest

from api.config import ApiConfig
from api.http.compression import accepts_gzip
from api.limits.request_rates import RequestRates
from api.problems import Problem
from edge.request_tokens import LocalTokens, TokenBatches
from mail.ports import RequestTokens
from tests.support.edge_world import World

PAGE = "https://mail.example.org"


async def test_every_answer_says_what_is_left_and_nothing_left_is_429(make_world) -> None:
    world = await make_world(requests_per_minute=3)
    client, bob = await world.signed(), await world.signed("bob")
    for left, path in ((2, "/v1/me"), (1, "/v1/folders/nowhere"), (0, "/v1/me")):
        async with client.get(path) as response:
            assert response.headers["RateLimit-Policy"] == '"user";q=3;w=60'
            assert response.headers["RateLimit"].startswith(f'"user";r={left};t=')
    async with client.get("/v1/me") as response:
        assert (response.status, (await response.json())["code"]) == (429, "too_many")
        assert 1 <= int(response.headers["Retry-After"]) <= 20
        assert response.headers["RateLimit"].startswith('"user";r=0;t=')
    async with bob.get("/v1/me") as response:
        assert response.status == 200
    async with client.get("/healthz") as response:
        assert "RateLimit" not in response.headers


async def test_processes_with_shared_tokens_count_together_and_each_limit_alone(make_world) -> None:
    shared = {"user": LocalTokens(3), "peer": LocalTokens(5)}

    def make_tokens(name: str, quota: int) -> RequestTokens:
        assert quota == shared[name].quota
        return TokenBatches(shared[name])

    settings = {"requests_per_minute": 3, "anonymous_per_minute": 5, "make_tokens": make_tokens}
    edges = [await make_world(**settings) for _ in range(2)]
    clients = [await edge.signed() for edge in edges]  # a request of the peer each
    for edge, left in ((0, 2), (1, 1), (0, 0)):
        async with clients[edge].get("/v1/me") as response:
            assert response.headers["RateLimit"].startswith(f'"user";r={left};t=')
    for client in clients:
        async with client.get("/v1/me") as response:
            assert response.status == 429
    strangers = [edges[n % 2].client() for n in range(4)]
    answers = [await stranger.get("/healthz") for stranger in strangers]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]


async def test_a_bucket_refills_and_holds_no_more_than_it_holds() -> None:
    now_s = [1_000.0]
    rates = RequestRates(LocalTokens(60, lambda: now_s[0]))

    async def taken() -> int:
        count = 0
        try:
            while True:
                await rates.take("ann")
                count += 1
        except Problem:
            return count

    assert await taken() == 60
    now_s[0] += 10.5
    assert await taken() == 10
    now_s[0] += 0.5
    assert await taken() == 1
    now_s[0] += 9_999
    assert await taken() == 60
    assert await RequestRates(None).take("ann") == {}


async def test_what_is_long_comes_in_gzip_to_who_can_read_it(world: World) -> None:
    for _ in range(200):
        await world.deliver()
    raw = aiohttp.ClientSession(world.url, auto_decompress=False)
    world.clients.append(raw)
    signed = {"Authorization": f"Bearer {await world.token()}"}
    path = "/v1/messages?limit=200"
    async with raw.get(path, headers={**signed, "Accept-Encoding": "identity"}) as response:
        plain, tag = await response.read(), response.headers["ETag"]
        assert "Content-Encoding" not in response.headers
    assert len(plain) > 64 * 1024
    for each, size in ((path, len(plain)), ("/v1/openapi.json", 0)):
        async with raw.get(each, headers={**signed, "Accept-Encoding": "gzip"}) as response:
            packed = await response.read()
            assert response.headers["Content-Encoding"] == "gzip"
            assert "Accept-Encoding" in response.headers["Vary"]
            assert len(packed) < len(gzip.decompress(packed)) / 2
            assert size in (0, len(gzip.decompress(packed)))
    async with raw.get(path, headers={**signed, "If-None-Match": tag}) as response:
        assert response.status == 304
    async with raw.get("/v1/me", headers={**signed, "Accept-Encoding": "gzip"}) as response:
        assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True), ("GZIP;q=0.5, br", True), ("*", True), ("deflate, *;q=0.1", True),
        ("", False), ("gzip;q=0", False), ("gzip;q=0.000, *", False), ("identity", False),
        ("gzip;q=7", False), (";;,", False),
    ],
)  # fmt: skip
def test_accept_encoding_is_read(header, takes) -> None:
    assert accepts_gzip(header) is takes


ASKS = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "if-match"}


async def test_pages_of_other_origins_may_not_unless_they_are_named(make_world) -> None:
    named, closed = await make_world(cors_origins=frozenset({PAGE})), await make_world()
    for world, origin, allowed in (
        (named, PAGE, True), (named, f"{PAGE}.evil.test", False), (named, "null", False),
        (closed, PAGE, False),
    ):  # fmt: skip
        client = world.client(Origin=origin)
        async with client.options("/v1/messages/x", headers=ASKS) as response:
            assert response.status == (204 if allowed else 405)
            assert ("Access-Control-Allow-Methods" in response.headers) is allowed
        async with client.post("/v1/login", json=world.credentials("alice")) as response:
            assert response.status == (200 if allowed else 403)
            answer = await response.json()
        token = answer["token"] if allowed else await world.token()
        async with world.client(token, Origin=origin).get("/v1/me") as response:
            given = response.headers.get("Access-Control-Allow-Origin")
            assert given == (origin if allowed else None)
            assert "Access-Control-Allow-Credentials" not in response.headers
        cookie = f"{ApiConfig(port=0).cookie(https=False)}={token}"
        async with world.client(Cookie=cookie, Origin=origin).delete("/v1/sessions") as response:
            assert (response.status, (await response.json())["code"]) == (403, "cross_site")
