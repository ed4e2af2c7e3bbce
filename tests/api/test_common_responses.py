"""Common to all responses: headers and problem details. Health checks, OpenAPI document."""

import logging
import re

import pytest

from api.config import ApiConfig
from api.openapi import PATH, document
from api.rest.reading.downloads import disposition
from api.webmail.static_files import ROUTES
from mail.errors import StoreUnavailable
from mail.filenames import safe_filename
from tests.support.edge_world import World

EVERYWHERE = ["/", "/mail/inbox", "/healthz", "/v1/me", "/nowhere", "/v1/openapi.json", "/v1/push"]


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_every_answer_carries_the_security_headers(world: World, path: str) -> None:
    async with world.client().get(path) as response:
        headers = response.headers
    csp = headers["Content-Security-Policy"]
    assert csp.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in csp
    assert "unsafe" not in csp
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] in {"no-store", "no-cache"}
    assert "Server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/web/../app.py", 404, "not_found"),
        ("GET", "/web/%2e%2e%2fapp.py", 404, "not_found"),
        ("DELETE", "/v1/me", 405, "method_not_allowed"),
        ("PROPFIND", "/v1/me", 405, "method_not_allowed"),
        ("GET", "/v1/login", 405, "method_not_allowed"),
        ("GET", "/v1/push", 426, "upgrade_required"),
    ],
)
async def test_refusals_are_problem_details(world: World, method, path, status, code) -> None:
    async with world.client().request(method, path) as response:
        body = await response.json(content_type="application/problem+json")
    assert (response.status, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == "about:blank"
    if status == 405:
        assert response.headers["Allow"]


async def test_a_fault_of_ours_has_an_incident_and_no_insides(world: World, caplog) -> None:
    client = await world.signed()

    def broken(step: str) -> None:
        raise RuntimeError("secret insides")

    world.store.fault = broken
    with caplog.at_level(logging.ERROR):
        async with client.get("/v1/folders") as response:
            body = await response.json(content_type="application/problem+json")
    world.store.fault = lambda step: None
    assert (response.status, body["code"]) == (500, "internal")
    assert "secret" not in str(body)
    assert body["incident"] in caplog.text
    assert "secret insides" in caplog.text


async def test_health_and_readiness(world: World) -> None:
    client = world.client()
    async with client.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    async with client.get("/readyz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ready"})

    def away(step: str) -> None:
        raise StoreUnavailable("sqlite", "/secret/path")

    world.store.fault = away
    async with client.get("/readyz") as response:
        body = await response.json()
    world.store.fault = lambda step: None
    assert (response.status, body) == (503, {"status": "not ready"})


async def test_the_description_and_the_routes_are_the_same(world: World) -> None:
    async with world.client().get(PATH) as response:
        described = await response.json()
    operations = {
        (method.upper(), path) for path, item in described["paths"].items() for method in item
    }
    registered = {
        (route.method, route.resource.canonical)
        for route in world.runner.app.router.routes()
        if route.method != "HEAD" and route.resource.canonical not in ROUTES
    }
    assert operations == registered


def test_every_reference_of_the_description_leads_somewhere() -> None:
    described = document(ApiConfig())
    schemas = described["components"]["schemas"]
    names = set(re.findall(r"#/components/schemas/(\w+)", str(described)))
    assert names == set(schemas)
    assert {"id", "from", "unread"} <= set(schemas["MessageSummary"]["properties"])


async def test_requests_are_counted_by_route_and_never_by_path(world: World) -> None:
    client = await world.signed()
    for path in ("/v1/messages/x", "/v1/messages/y", "/nowhere", "/elsewhere"):
        async with client.get(path):
            pass
    counts = world.context.metrics.requests
    assert counts["GET", "/v1/messages/{id}", 404] == 2
    assert counts["any", "unmatched", 404] == 2
    assert counts["POST", "/v1/login", 200] == 1


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.exe", "a.exe"),
        (".bashrc", "bashrc"),
        ("..", "otherwise"),
        ("", "otherwise"),
        ("a\r\nSet-Cookie: x\0.txt", "aSet-Cookie: x.txt"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("사진.png", "사진.png"),
        ("a" * 500 + ".pdf", "a" * 116 + ".pdf"),
    ],
)
def test_filenames_are_made_safe(filename: str, expected: str) -> None:
    assert safe_filename(filename, "otherwise") == expected


def test_a_disposition_is_one_line_of_ascii() -> None:
    value = disposition('사"진;%.png')
    assert (
        value
        == "attachment; filename=\"__________.png\"; filename*=UTF-8''".replace(
            "__________", "_____"
        )
        + "%EC%82%AC%22%EC%A7%84%3B%25.png"
    )
